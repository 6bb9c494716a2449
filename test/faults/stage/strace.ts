import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** The calls by which a store reaches the disk: of what is written back, of commits, and of both. */
export type DiskCall = 'fsync' | 'fdatasync' | 'pwrite64'

const QUIET = ['-f', '-qq', '-o', '/dev/null']

/** Runs the KME as this process's own child and kills it when it enters the n-th call, before that is done. */
export const killedAt = (call: DiskCall, n: number): readonly string[] => [
  'strace',
  '-D',
  ...QUIET,
  '-e',
  `trace=${call}`,
  '-e',
  `inject=${call}:signal=SIGKILL:when=${n}`,
]

/** From now on every such call of the running process fails with an I/O error. Ends with it. */
export const failCalls = (pid: number, call: DiskCall): Promise<ChildProcess> =>
  inject(pid, call, 'error=EIO')

/** From now on every such call of the running process takes so long, until what is returned ends. */
export const delayCalls = (pid: number, call: DiskCall, ms: number): Promise<ChildProcess> =>
  inject(pid, call, `delay_enter=${ms * 1000}`)

const inject = async (pid: number, call: DiskCall, what: string): Promise<ChildProcess> => {
  const args = [...QUIET, '-e', `trace=${call}`, '-e', `inject=${call}:${what}`, '-p', `${pid}`]
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  await once(strace, 'spawn')
  return strace
}
