/** Freezes plain data with everything in it, in place, and returns it. */
export const freezeDeep = <T>(value: T): T => {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  Object.values(value).forEach(freezeDeep)
  return value
}
