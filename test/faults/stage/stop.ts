/** What has to be ended before the program may end, whatever ends it. */
const cleanups = new Set<() => Promise<void>>()

/** Registers `cleanup` for an early end; returns how to take it back. */
export const onEarlyEnd = (cleanup: () => Promise<void>): (() => void) => {
  cleanups.add(cleanup)
  return () => {
    cleanups.delete(cleanup)
  }
}

/** Ends everything, the youngest first. */
export const endEverything = async (): Promise<void> => {
  const all = [...cleanups].toReversed()
  cleanups.clear()
  for (const cleanup of all) await cleanup().catch(() => undefined)
}
