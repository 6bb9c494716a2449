import Database from 'better-sqlite3'
import { statfsSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import type { DiskSync } from './disk.ts'
import { median } from './statistics.ts'

/** What the figures depend on. */
export interface Machine {
  readonly cpuModel: string
  readonly cores: number
  readonly memoryGiB: number
  readonly platform: string
  readonly kernel: string
  readonly node: string
  readonly openssl: string
  readonly sqlite: string
  /** Median time to append 4 KiB to a file and sync it, where the stores are. */
  readonly fsyncMs: number
}

const SYNCS = 60

const sqliteVersion = (): string => {
  const database = new Database(':memory:')
  try {
    return String(database.prepare('SELECT sqlite_version()').pluck().get())
  } finally {
    database.close()
  }
}

export const describeMachine = (disk: DiskSync): Machine => {
  const processors = cpus()
  return {
    cpuModel: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    kernel: release(),
    node: process.versions.node,
    openssl: process.versions.openssl,
    sqlite: sqliteVersion(),
    fsyncMs: median(disk.sample(SYNCS)),
  }
}

const TMPFS = 0x01021994
const RAMFS = 0x858458f6

/** Whether files there are only in memory: a sync costs nothing then, and the figures mean nothing. */
export const isInMemory = (dir: string): boolean => {
  const { type } = statfsSync(dir)
  return type === TMPFS || type === RAMFS
}
