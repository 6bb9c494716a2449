import type { BlockRow, StoreTx } from '../store-tx.ts'
import type { RowContext } from './context.ts'
import { sealedRows } from './sealed-rows.ts'

type MaterialRows = Pick<StoreTx, 'readMaterial' | 'deleteMaterial'> & {
  readonly insertMaterial: (row: BlockRow, material: Buffer) => void
}
type CheckpointRows = Pick<StoreTx, 'readCheckpoint' | 'writeCheckpoint' | 'deleteCheckpoints'>
type FreshDeviceRows = Pick<StoreTx, 'isFreshDevice' | 'insertFreshDevice' | 'deleteFreshDevices'>
type FingerprintKeyRows = Pick<StoreTx, 'readFingerprintKey' | 'writeFingerprintKey'>

/** Bytes of blocks, written once: `seq` is never reused, so they need no version. */
export const materialRows = ({ db, envelope }: RowContext): MaterialRows => {
  const select = db.prepare<{ sealed: Buffer }>('SELECT sealed FROM block_material WHERE seq = ?')
  const insert = db.prepare('INSERT INTO block_material (seq, data_key, sealed) VALUES (?, ?, ?)')
  const remove = db.prepare('DELETE FROM block_material WHERE seq = ?')
  const bind = ({ seq, linkId, ref }: BlockRow): string =>
    JSON.stringify(['block', linkId, ref.deviceId, ref.streamId, ref.vendorId, seq])
  return {
    readMaterial(row) {
      const found = select.get(row.seq)
      return found === undefined ? null : envelope.open(found.sealed, bind(row))
    },
    insertMaterial(row, material) {
      insert.run(row.seq, envelope.sealingKeyId, envelope.seal(material, bind(row)))
    },
    deleteMaterial(seq) {
      remove.run(seq)
    },
  }
}

/** How far each device's source was read; no key material. */
export const checkpointRows = (context: RowContext): CheckpointRows => {
  const { db } = context
  const select = db.prepare<{ data: Buffer }>(
    'SELECT data FROM checkpoint WHERE link = ? AND device_id = ?',
  )
  const write = db.prepare(
    'INSERT OR REPLACE INTO checkpoint (link, device_id, data) VALUES (?, ?, ?)',
  )
  const remove = db.prepare('DELETE FROM checkpoint WHERE link = ?')
  return {
    readCheckpoint: (linkId, deviceId) =>
      select.get(context.findLink(linkId), deviceId)?.data ?? null,
    writeCheckpoint(linkId, deviceId, checkpoint) {
      write.run(context.ensureLink(linkId), deviceId, checkpoint)
    },
    deleteCheckpoints(linkId) {
      remove.run(context.findLink(linkId))
    },
  }
}

/** Which ends of devices were opened afresh in the epochs of their links. */
export const freshDeviceRows = (context: RowContext): FreshDeviceRows => {
  const { db } = context
  const select = db.prepare(
    'SELECT 1 FROM fresh_device WHERE link = ? AND device_id = ? AND device_end = ?',
  )
  const insert = db.prepare(
    'INSERT OR REPLACE INTO fresh_device (link, device_id, device_end) VALUES (?, ?, ?)',
  )
  const remove = db.prepare('DELETE FROM fresh_device WHERE link = ?')
  return {
    isFreshDevice: (linkId, deviceId, end) =>
      select.get(context.findLink(linkId), deviceId, end) !== undefined,
    insertFreshDevice(linkId, deviceId, end) {
      insert.run(context.ensureLink(linkId), deviceId, end)
    },
    deleteFreshDevices(linkId) {
      remove.run(context.findLink(linkId))
    },
  }
}

/** The key of a link's fingerprints. */
export const fingerprintKeyRows = (context: RowContext): FingerprintKeyRows => {
  const rows = sealedRows(context, 'fingerprint_key', 'link')
  return {
    readFingerprintKey: (linkId) => rows.read(context.findLink(linkId), [linkId]),
    writeFingerprintKey(linkId, key) {
      rows.write(context.ensureLink(linkId), [linkId], key)
    },
  }
}
