import type { StoreTx } from '../store-tx.ts'
import { auditRows } from './audit-rows.ts'
import { proposalRows, suspectRows, verdictRows } from './batch-rows.ts'
import { blockLists, blockRows } from './block-rows.ts'
import type { RowContext } from './context.ts'
import { deliveryRows } from './delivery-rows.ts'
import { checkpointRows, fingerprintKeyRows, freshDeviceRows, materialRows } from './device-rows.ts'
import { chunkRows, laneDeletion, laneRows, stretchRows } from './lane-rows.ts'
import { endedRunRows } from './ended-runs.ts'
import { ledgerRows } from './ledger-rows.ts'
import { linkRows } from './link-rows.ts'
import { dropRows, grantRows } from './pending-rows.ts'
import { dataKeyRows } from './data-keys.ts'
import { redeliveryRows } from './redelivery-rows.ts'
import { ownSaeRows, peerSaeRows } from './sae-rows.ts'
import { storeRows } from './store-rows.ts'

/** All rows of the store, over statements that are prepared once. */
export const sqliteTx = (context: RowContext): StoreTx => {
  const { insertMaterial, ...material } = materialRows(context)
  return {
    savepoint(work) {
      return context.savepoint(work)
    },
    ...storeRows(context),
    ...linkRows(context),
    ...ledgerRows(context),
    ...proposalRows(context),
    ...verdictRows(context),
    ...suspectRows(context),
    ...blockRows(context, insertMaterial, material.deleteMaterial),
    ...blockLists(context),
    ...material,
    ...checkpointRows(context),
    ...freshDeviceRows(context),
    ...fingerprintKeyRows(context),
    ...laneRows(context),
    ...stretchRows(context),
    ...chunkRows(context),
    ...laneDeletion(context),
    ...endedRunRows(context),
    ...deliveryRows(context),
    ...redeliveryRows(context),
    ...dataKeyRows(context),
    ...dropRows(context),
    ...grantRows(context),
    ...ownSaeRows(context),
    ...peerSaeRows(context),
    ...auditRows(context),
  }
}
