/**
 * When something happens, on the two clocks of a KME. What expires, expires in running time: the
 * milliseconds that this KME was up since its store was made; time that it was down does not count.
 * The wall clock is for audit rows only.
 */
export interface Moment {
  readonly runningMs: number
  readonly wallMs: number
}
