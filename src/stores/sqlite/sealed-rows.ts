import type { RowContext } from './context.ts'

interface Row {
  readonly version: number
  readonly sealed: Buffer
}

/**
 * Sealed rows of one table (id, version, data_key, sealed). The row's name and version are bound
 * into the seal: the bytes of another row, or former bytes of this one, do not open in its place.
 */
export interface SealedRows {
  /** The caller wipes the result. @throws KmeError STORE_CORRUPT */
  read(id: number, name: RowName): Buffer | null
  /** Inserts, or replaces under the next version. */
  write(id: number, name: RowName, bytes: Buffer): void
  delete(id: number): void
}

/** What names a row for good: IDs, never the numbers that stand for them in tables. */
export type RowName = readonly (string | number)[]

/** What a seal is bound to, so that it opens in its own row and version only. */
export const bindSealed = (table: string, name: RowName, version: number): string =>
  JSON.stringify([table, ...name, version])

export const sealedRows = (
  { db, envelope }: RowContext,
  table: 'chunk' | 'fingerprint_key' | 'redelivery_material',
  idColumn: 'id' | 'seq' | 'link',
): SealedRows => {
  const select = db.prepare<Row>(`SELECT version, sealed FROM ${table} WHERE ${idColumn} = ?`)
  const selectVersion = db.prepare<Pick<Row, 'version'>>(
    `SELECT version FROM ${table} WHERE ${idColumn} = ?`,
  )
  const insert = db.prepare(
    `INSERT INTO ${table} (${idColumn}, version, data_key, sealed) VALUES (?, ?, ?, ?)`,
  )
  const update = db.prepare(
    `UPDATE ${table} SET version = ?, data_key = ?, sealed = ? WHERE ${idColumn} = ?`,
  )
  const remove = db.prepare(`DELETE FROM ${table} WHERE ${idColumn} = ?`)
  const bind = (name: RowName, version: number): string => bindSealed(table, name, version)
  return {
    read(id, name) {
      const row = select.get(id)
      return row === undefined ? null : envelope.open(row.sealed, bind(name, row.version))
    },
    write(id, name, bytes) {
      const former = selectVersion.get(id)?.version
      const version = (former ?? 0) + 1
      const sealed = envelope.seal(bytes, bind(name, version))
      const key = envelope.sealingKeyId
      if (former === undefined) insert.run(id, version, key, sealed)
      else update.run(version, key, sealed, id)
    },
    delete(id) {
      remove.run(id)
    },
  }
}
