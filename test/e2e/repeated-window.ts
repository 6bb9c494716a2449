const WINDOW_BYTES = 8

/**
 * Whether any 8 bytes in a row, at any offset, occur twice in the keys. For random key of a few
 * megabytes that happens by chance once in ten million runs.
 */
export const hasRepeatedWindow = (keys: readonly Buffer[]): boolean => {
  const count = keys.reduce((sum, { length }) => sum + Math.max(0, length - WINDOW_BYTES + 1), 0)
  const windows = new BigUint64Array(count)
  let next = 0
  for (const key of keys) {
    for (let at = 0; at + WINDOW_BYTES <= key.length; at += 1) {
      windows[next] = key.readBigUInt64BE(at)
      next += 1
    }
  }
  windows.sort()
  return windows.some((window, i) => i > 0 && windows[i - 1] === window)
}
