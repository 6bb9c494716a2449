/** Resolves when all that has arrived in this turn of the event loop has been taken in. Adds no wait. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })
