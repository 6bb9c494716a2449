import { setTimeout as sleep } from 'node:timers/promises'

const LONGEST_MS = 60_000
const LOOK_EVERY_MS = 100

/**
 * Waits for something in another process until `look` gives a value that is not undefined, null or
 * false. Looks seldom, for a look may be a TLS handshake, and gives a busy machine much time.
 */
export const patiently = async <T>(
  look: () => T | Promise<T>,
  what: string,
): Promise<NonNullable<T>> => {
  const giveUpMs = Date.now() + LONGEST_MS
  for (;;) {
    const value = await look()
    if (value !== undefined && value !== null && value !== false) return value
    if (Date.now() > giveUpMs) throw new Error(`${what} did not happen`)
    await sleep(LOOK_EVERY_MS)
  }
}
