import { closeSync, fsyncSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { applicationIdOf } from './store-file.ts'

/** 'KSpb': what `file` and we tell a backup by. A KME does not open it as a store. */
export const BACKUP_ID = 0x4b537062

export const isBackupFile = (path: string): boolean => applicationIdOf(path) === BACKUP_ID

const syncPath = (path: string): void => {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** The file and its name are durable when this returns. */
export const syncFile = (path: string): void => {
  syncPath(path)
  syncPath(dirname(path))
}
