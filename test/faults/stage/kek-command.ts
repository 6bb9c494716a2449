import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { KmeProcess } from '../../helpers/kme-process.ts'
import type { SiteName } from '../record.ts'
import type { Trial } from './trial.ts'

const LOOK_EVERY_MS = 1

export const kekFileOf = ({ pair }: Trial, name: SiteName): string =>
  pair.lab.path(`kme-${name}`, 'kek.key')

/** Names of the KEKs in the file: two while one is being replaced. */
export const kekIdsOf = async (kekFile: string): Promise<readonly string[]> => {
  const text = await readFile(kekFile, 'latin1')
  return [...text.matchAll(/^keyspring-kek-1 ([0-9a-f]{16}) /gm)].map(([, kekId = '']) => kekId)
}

/** `store rotate-kek` as a process of its own: of a KME that runs, or of one that is stopped. */
export const startRotation = async (
  { pair }: Trial,
  name: SiteName,
  { isRunning, wrap = [] }: { readonly isRunning: boolean; readonly wrap?: readonly string[] },
): Promise<KmeProcess> => {
  const { certFile, keyFile } = await pair.lab.certificate('operator', 'operator')
  const { configFile } = pair[name]
  const operator = isRunning ? ['--cert', certFile, '--key', keyFile] : []
  const words = ['store', 'rotate-kek', '-c', configFile, ...operator]
  // Calls are counted by thread: commits are synced by one.
  const env = { UV_THREADPOOL_SIZE: '1' }
  return new KmeProcess(words, { endWithParent: true, wrap, env })
}

/** Waits until the replacement has begun, or the command has ended before that was seen. */
export const untilBegun = async (kekFile: string, command: KmeProcess): Promise<void> => {
  while (command.isRunning && (await kekIdsOf(kekFile)).length < 2) await sleep(LOOK_EVERY_MS)
}
