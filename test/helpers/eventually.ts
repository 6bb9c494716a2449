const GENEROUS_MS = 20_000
const LOOK_EVERY_MS = 10

/** Waits until `look` gives a value that is not undefined, null or false. Generous: no test judges time. */
export const eventually = async <T>(
  look: () => T | Promise<T>,
  what = 'what was waited for',
): Promise<NonNullable<T>> => {
  const giveUpMs = Date.now() + GENEROUS_MS
  for (;;) {
    const value = await look()
    if (value !== undefined && value !== null && value !== false) return value
    if (Date.now() > giveUpMs) throw new Error(`${what} did not happen`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}
