/**
 * The one error class of Keyspring. A code says what went wrong; the message says what, where and
 * what to do, in one line, without key material. Borders map codes to what their side speaks:
 * `etsi014/` to HTTP statuses and the standard's texts, `cli/` to exit codes.
 */
export type KmeErrorCode =
  // What an SAE may meet.
  | 'BAD_REQUEST' // the request breaks a rule of the API or a limit of this KME
  | 'SLAVE_UNKNOWN' // a slave SAE that neither this KME nor a peer KME has registered
  | 'UNAUTHORIZED' // the caller is no registered SAE, or was not named for a key it asks for
  | 'KEY_NOT_FOUND' // unknown, expired, already fetched, or another master's key
  | 'OPTIONS_NOT_MET' // a known mandatory option that cannot be met now
  | 'KEYS_EXHAUSTED' // the lane is too short; nothing was consumed
  | 'PEER_UNAVAILABLE' // the peer KME cannot confirm
  | 'NOT_READY' // the link has no agreed epoch, or the KME is starting or stopping
  // What an operator may meet.
  | 'USAGE' // the words of a command line are off
  | 'CONFIG_INVALID' // a configuration file, or a file that it names, cannot be used
  | 'PKI_INVALID' // a certificate, key, CRL or CA folder cannot be used
  | 'LISTEN_FAILED' // a port is taken or an address cannot be bound
  | 'RUNTIME_TOO_OLD' // Node is older than what Keyspring runs on
  | 'STORE_LOCKED' // another process has the store open
  | 'STORE_SCHEMA' // the store's schema is newer than this program, or is no store of Keyspring
  | 'STORE_FAILED' // the store cannot read or write (disk full, I/O error)
  | 'STORE_CORRUPT' // a sealed row does not open, or a row contradicts another
  | 'SEALING_FAILED' // the key-encryption key cannot be read, or does not open a data key
  | 'DRIVER_FAILED' // a device, its files or its options cannot be used
  | 'PROTOCOL' // a peer KME said something that the protocol does not allow
  // Inside.
  | 'LIFE_ENDED' // the link's life or epoch moved on while an operation waited
  | 'INTERNAL'

export interface KmeErrorOptions extends ErrorOptions {
  /** Public facts for the caller, one object each; never key material. */
  readonly details?: readonly Readonly<Record<string, unknown>>[]
  /** When trying again may help, in seconds from now. */
  readonly retryAfterS?: number
}

export class KmeError extends Error {
  readonly code: KmeErrorCode
  readonly details: readonly Readonly<Record<string, unknown>>[] | undefined
  readonly retryAfterS: number | undefined

  constructor(code: KmeErrorCode, message: string, options: KmeErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'KmeError'
    this.code = code
    this.details = options.details
    this.retryAfterS = options.retryAfterS
  }
}

export const isKmeError = (error: unknown, code?: KmeErrorCode): error is KmeError =>
  error instanceof KmeError && (code === undefined || error.code === code)

/** The message of whatever was thrown: what an operator reads, never a stack. */
export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)
