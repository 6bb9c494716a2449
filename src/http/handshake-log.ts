import type { Server } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Observer } from '../ports/observer.ts'
import { type ListenerName, systemCode } from './listen-error.ts'

/** Refusals of one kind within this time are one line: anybody who reaches the port can cause them. */
const QUIET_MS = 60_000

/** Why a handshake failed, as a code of the TLS library; null where the client merely went away. */
const reasonOf = (error: unknown, socket: unknown): string | null => {
  // Declared as an error, in fact the code of one.
  const certificate: unknown = socket instanceof TLSSocket ? socket.authorizationError : null
  if (typeof certificate === 'string') return certificate
  const code = systemCode(error)
  return code.startsWith('ERR_SSL_') || code === 'ERR_TLS_HANDSHAKE_TIMEOUT' ? code : null
}

/**
 * Tells the operator which handshakes fail: the client learns little from the TLS alert, and a
 * certificate of the wrong CA is the commonest mistake when a new client is set up.
 */
export const logHandshakes = (server: Server, name: ListenerName, observer: Observer): void => {
  const quietUntil = new Map<string, number>()
  server.on('tlsClientError', (error: unknown, socket: unknown) => {
    const reason = reasonOf(error, socket)
    const now = performance.now()
    if (reason === null || now < (quietUntil.get(reason) ?? 0)) return
    quietUntil.set(reason, now + QUIET_MS)
    observer.event({
      level: 'warn',
      name: 'listener.handshake.refused',
      message: `the ${name} listener has refused a client in the TLS handshake: ${reason}`,
      fields: { listener: name, reason },
    })
  })
}
