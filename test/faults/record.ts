/** What the recorder writes down and the checker reads. No key byte is in it: fingerprints and windows are keyed. */

export type SiteName = 'a' | 'b'

export const SITE_NAMES: readonly SiteName[] = ['a', 'b']

/** One key as a client saw it. */
export interface KeySeen {
  readonly keyId: string
  readonly lengthBytes: number
  /** Equal for equal bytes, within one run. */
  readonly fingerprint: string
}

export type Outcome =
  | { readonly result: 'answered' }
  /** The KME said no: 400, 401 or 503. */
  | { readonly result: 'refused'; readonly code: string }
  /** The request may have been carried out: no answer came. */
  | { readonly result: 'lost' }
  /** Nobody listened: nothing was carried out. */
  | { readonly result: 'unsent' }
  /** An answer that the standard does not allow. */
  | { readonly result: 'broken'; readonly message: string }

export interface SlaveNamed {
  readonly saeId: string
  readonly site: SiteName
}

interface CallTimes {
  /** Running time of this program. */
  readonly startedMs: number
  readonly endedMs: number
}

/** *Get key*, by a master. */
export interface Draw extends CallTimes {
  readonly call: 'draw'
  readonly site: SiteName
  readonly masterId: string
  readonly slaves: readonly SlaveNamed[]
  readonly outcome: Outcome
  readonly keys: readonly KeySeen[]
}

/** *Get key with key IDs*, by who says to be a slave. */
export interface Fetch extends CallTimes {
  readonly call: 'fetch'
  readonly site: SiteName
  readonly saeId: string
  readonly masterId: string
  readonly keyIds: readonly string[]
  readonly outcome: Outcome
  readonly keys: readonly KeySeen[]
}

/** What the configuration of the link promises more or less than the default. */
export interface Terms {
  readonly confirm: 'peer' | 'local'
  /** For how long the very same *Get key with key IDs* gets the same answer; 0: never again. */
  readonly redeliveryWindowS: number
}

export const DEFAULT_TERMS: Terms = { confirm: 'peer', redeliveryWindowS: 0 }

/** A KME that did not run was started, and delivered keys from `readyMs` on. */
export interface Start {
  readonly site: SiteName
  readonly launchedMs: number
  readonly readyMs: number
}

/**
 * A store that was put back to what it was at `copiedMs`, and ran again from `resumedMs` on; from
 * `agreedMs` on both KMEs were in the epoch after it.
 */
export interface Restore {
  readonly site: SiteName
  /** By the command, or as a file that was copied back. */
  readonly by: 'command' | 'hand'
  readonly copiedMs: number
  readonly resumedMs: number
  readonly agreedMs: number
}

/** While it lasted, a refusal does not tell whether the commit behind it took place. */
export interface Doubt {
  readonly site: SiteName
  readonly fromMs: number
  readonly toMs: number
}

/** Key bytes where none may be. */
export interface Leak {
  readonly where: string
  readonly form: string
}
