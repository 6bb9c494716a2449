import type { ServerOptions } from 'node:http'

/** Bounds on each connection of a listener, so that a slow or greedy client delays nobody else. */
export interface ListenerLimits {
  /** From the first moment of a connection or request until its headers are complete. */
  readonly headersTimeoutMs: number
  /** Until the whole request is here, body included. */
  readonly bodyTimeoutMs: number
  /** A connection without a request. */
  readonly idleTimeoutMs: number
  /** Open connections; more are closed as they come. */
  readonly maxConnections: number
  /** A connection in the middle of a request on which no byte moves: a client that does not read. */
  readonly stallTimeoutMs?: number
}

const MAX_HEADER_BYTES = 16_384
/** Later than the body's time-out, so that a client whose body does not come is told so first. */
const STALL_MARGIN_MS = 2000
/** A handler may wait that long for a peer before its connection counts as stalled. */
const LEAST_STALL_TIMEOUT_MS = 15_000

const CHECKS_PER_TIMEOUT = 4
const MIN_CHECK_INTERVAL_MS = 25
const MAX_CHECK_INTERVAL_MS = 1000

const checkIntervalMs = ({ headersTimeoutMs, bodyTimeoutMs }: ListenerLimits): number => {
  const interval = Math.min(headersTimeoutMs, bodyTimeoutMs) / CHECKS_PER_TIMEOUT
  return Math.round(Math.min(Math.max(interval, MIN_CHECK_INTERVAL_MS), MAX_CHECK_INTERVAL_MS))
}

export const serverOptions = (limits: ListenerLimits): ServerOptions => ({
  maxHeaderSize: MAX_HEADER_BYTES,
  // The headers are part of the request: Node refuses a longer time for them than for the whole.
  headersTimeout: Math.min(limits.headersTimeoutMs, limits.bodyTimeoutMs),
  requestTimeout: limits.bodyTimeoutMs,
  keepAliveTimeout: limits.idleTimeoutMs,
  connectionsCheckingInterval: checkIntervalMs(limits),
  insecureHTTPParser: false,
  noDelay: true,
  // Node would answer with an empty body; the listener answers in the words of its API.
  requireHostHeader: false,
})

export const stallTimeoutMs = (limits: ListenerLimits): number =>
  limits.stallTimeoutMs ?? Math.max(limits.bodyTimeoutMs + STALL_MARGIN_MS, LEAST_STALL_TIMEOUT_MS)
