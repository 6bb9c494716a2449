import { KmeError } from '../../errors.ts'
import type { LinkId, SaeId } from '../../model/ids.ts'
import type { Random } from '../../ports/clock.ts'
import type { SaeList } from '../../ports/delivery-store.ts'
import type { Stamped } from '../../ports/lane-store.ts'
import type { Stamp } from '../../ports/peer.ts'
import type { StoreTx } from '../store-tx.ts'
import { applyStamped } from './guard.ts'

const REGISTRATION_BYTES = 16

export const registerSaes = (tx: StoreTx, random: Random, saeIds: readonly SaeId[]): SaeList => {
  const known = tx.readOwnSaes()
  const registrations = new Map(known?.saes.map((sae) => [sae.saeId, sae]))
  const wanted = [...new Set(saeIds)]
  if (
    known &&
    wanted.length === registrations.size &&
    wanted.every((id) => registrations.has(id))
  ) {
    return known
  }
  const list = {
    version: (known?.version ?? 0) + 1,
    saes: wanted.map((saeId) => registrations.get(saeId) ?? register(saeId, random)),
  }
  tx.writeOwnSaes(list)
  return list
}

const register = (saeId: SaeId, random: Random): { saeId: SaeId; registrationId: string } => ({
  saeId,
  registrationId: random.bytes(REGISTRATION_BYTES).toString('hex'),
})

export const applySaeList = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  list: SaeList,
): Stamped<'done'> =>
  applyStamped(tx, linkId, stamp, (change) => {
    const known = tx.readPeerSaes(linkId)
    if (known && list.version <= known.version) return 'done'
    const isSound =
      Number.isSafeInteger(list.version) &&
      list.version > 0 &&
      new Set(list.saes.map(({ saeId }) => saeId)).size === list.saes.length
    if (!isSound) throw new KmeError('PROTOCOL', `link ${linkId}: the peer's list of SAEs is off`)
    tx.writePeerSaes(linkId, list)
    change.touch()
    return 'done'
  })
