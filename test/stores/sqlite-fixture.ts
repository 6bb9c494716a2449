import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import type { Sealing } from '../../src/ports/sealing.ts'
import { openFileSealing } from '../../src/sealing/file-sealing.ts'
import { makeKekFile } from '../../src/sealing/kek-file.ts'
import { openSqliteBackend } from '../../src/stores/sqlite/sqlite-backend.ts'
import type { ChunkKey, DeliveryRow, StoreBackend } from '../../src/stores/store-tx.ts'
import { systemRandom } from '../../src/support/system-clock.ts'

export const EPOCH = { counter: 1, id: 'e'.repeat(32) }

export const chunkKey = (number: number, linkId = 'a-b'): ChunkKey => ({
  linkId,
  epoch: EPOCH,
  lane: 'verifier',
  number,
})

/** A delivery of one key, of which nobody has to be told. */
export const deliveryAt = (offset: number, keyLengthBytes = 32): Omit<DeliveryRow, 'seq'> => ({
  linkId: 'a-b',
  epoch: EPOCH,
  delivery: {
    deliveryId: randomBytes(16),
    lane: 'verifier',
    offset,
    keyLengthBytes,
    keyCount: 1,
    master: { saeId: 'master', registrationId: '1'.repeat(32) },
    timeToLiveMs: 60_000,
  },
  slaves: [],
  remoteSlaves: [],
  remoteKmeId: null,
  remote: 'none',
  expiresMs: 60_000.5,
})

/** A directory with a KEK file and a store, which a test opens and closes as often as it likes. */
export interface SqliteFixture extends AsyncDisposable {
  readonly directory: string
  readonly path: string
  readonly kekFile: string
  readonly sealing: Sealing
  open(): Promise<StoreBackend>
  /** Runs `work` on the closed file through a connection of its own, as somebody from outside. */
  edit<T>(work: (db: SQLite.Database) => T): T
  /** All bytes of the database and its WAL. */
  readFiles(): Buffer
}

export const makeSqliteFixture = async (): Promise<SqliteFixture> => {
  const directory = mkdtempSync(join(tmpdir(), 'keyspring store '))
  const path = join(directory, 'store.db')
  const kekFile = join(directory, 'kek')
  makeKekFile(kekFile, systemRandom)
  const sealing = await openFileSealing(kekFile, { random: systemRandom })
  return {
    directory,
    path,
    kekFile,
    sealing,
    open: () => openSqliteBackend({ path, sealing, random: systemRandom }),
    edit(work) {
      const db = new SQLite(path)
      try {
        return work(db)
      } finally {
        db.close()
      }
    },
    readFiles: () =>
      Buffer.concat([path, `${path}-wal`].filter(existsSync).map((file) => readFileSync(file))),
    async [Symbol.asyncDispose]() {
      sealing.close()
      rmSync(directory, { recursive: true })
    },
  }
}
