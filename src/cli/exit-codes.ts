import type { KmeErrorCode } from '../errors.ts'

/** Exit codes: 0 done, 1 it failed, 2 the words of the command line or the configuration are off. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const

const EXIT_CODES = {
  BAD_REQUEST: EXIT.failed,
  SLAVE_UNKNOWN: EXIT.failed,
  UNAUTHORIZED: EXIT.failed,
  KEY_NOT_FOUND: EXIT.failed,
  OPTIONS_NOT_MET: EXIT.failed,
  KEYS_EXHAUSTED: EXIT.failed,
  PEER_UNAVAILABLE: EXIT.failed,
  NOT_READY: EXIT.failed,
  USAGE: EXIT.usage,
  CONFIG_INVALID: EXIT.usage,
  PKI_INVALID: EXIT.failed,
  LISTEN_FAILED: EXIT.failed,
  RUNTIME_TOO_OLD: EXIT.usage,
  STORE_LOCKED: EXIT.failed,
  STORE_SCHEMA: EXIT.failed,
  STORE_FAILED: EXIT.failed,
  STORE_CORRUPT: EXIT.failed,
  SEALING_FAILED: EXIT.failed,
  DRIVER_FAILED: EXIT.failed,
  PROTOCOL: EXIT.failed,
  LIFE_ENDED: EXIT.failed,
  INTERNAL: EXIT.failed,
} as const satisfies Record<KmeErrorCode, number>

export const exitCodeOf = (code: KmeErrorCode): number => EXIT_CODES[code]
