import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Fields of /proc/PID/stat, counted from the one after the command, which is the third of proc(5). */
const UTIME = 11
const STIME = 12

/**
 * User and system time of a process, all its threads together, in clock ticks. The command stands in
 * brackets and may hold blanks and brackets itself, so the fields are counted from its last bracket.
 */
export const cpuTicksOf = (stat: string): number => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[UTIME]) + Number(fields[STIME])
  if (Number.isSafeInteger(ticks)) return ticks
  throw new TypeError('this is no line of /proc/PID/stat')
}

/** Clock ticks per second, as the system counts them. */
export const ticksPerSecond = (): number =>
  Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** CPU time of a running process so far, in microseconds; as fine as a clock tick, often 10 ms. */
export const cpuTimeUs = (pid: number, hertz: number): number =>
  (cpuTicksOf(readFileSync(`/proc/${String(pid)}/stat`, 'utf8')) / hertz) * 1e6
