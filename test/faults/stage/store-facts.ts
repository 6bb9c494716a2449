import SQLite from 'better-sqlite3'
import { openFileSealing } from '../../../src/sealing/file-sealing.ts'
import { openSqliteStore } from '../../../src/stores/sqlite/sqlite-store.ts'
import { systemRandom } from '../../../src/support/system-clock.ts'
import type { AuditEntry } from '../../../src/ports/audit.ts'
import type { Store } from '../../../src/stores/store.ts'
import type { StoreFacts } from '../checker/evidence.ts'

const PAGE_ROWS = 1000
/** More than any trial can owe. */
const MOST_DROPS = 100_000

export interface StorePlace {
  readonly path: string
  readonly kekFile: string
  readonly linkId: string
}

const readAudit = async (store: Store): Promise<readonly AuditEntry[]> => {
  const entries: AuditEntry[] = []
  for (;;) {
    const page = await store.readAudit(entries.at(-1)?.sequence ?? 0, PAGE_ROWS)
    if (page.length === 0) return entries
    entries.push(...page)
  }
}

const integrityOf = (path: string): string => {
  const database = new SQLite(path, { fileMustExist: true })
  try {
    return String(database.pragma('integrity_check', { simple: true }))
  } finally {
    database.close()
  }
}

/** Opens the store of a KME that is stopped, as the KME does, and reads what the checker needs. */
export const readStoreFacts = async ({
  path,
  kekFile,
  linkId,
}: StorePlace): Promise<StoreFacts> => {
  const sealing = await openFileSealing(kekFile, {
    random: systemRandom,
    credentialsDirectory: undefined,
  })
  try {
    await using store = await openSqliteStore({ path, sealing, random: systemRandom })
    const { epoch, lanes } = await store.readLink(linkId)
    const { counters, rows } = await store.recountLedger(linkId)
    const facts = {
      epoch,
      lanes,
      ledger: counters,
      recount: rows,
      unconfirmed: await store.countUnconfirmed(linkId),
      pendingDrops: (await store.listPendingDrops(linkId, MOST_DROPS)).length,
      audit: await readAudit(store),
    }
    await store.close()
    return { ...facts, integrity: integrityOf(path) }
  } finally {
    sealing.close()
  }
}
