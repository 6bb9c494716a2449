import { KmeError, messageOf } from '../errors.ts'

export type ListenerName = 'sae' | 'peer' | 'admin' | 'probes'

/** Where a listener listens: a TCP port, or a Unix socket. */
export type ListenAddress =
  { readonly host: string; readonly port: number } | { readonly socket: string }

/** `host:port` as people write it, with brackets around IPv6. */
export const formatAddress = (address: ListenAddress): string => {
  if ('socket' in address) return address.socket
  const host = address.host.includes(':') ? `[${address.host}]` : address.host
  return `${host}:${String(address.port)}`
}

const SOCKET_ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the socket is in use: stop the process that listens there, or choose another path',
  EACCES: 'no permission: choose a folder that this user may write to',
  ENOENT: 'its folder does not exist: make it, or choose another path',
  EINVAL: 'the path cannot be a socket (at most about 100 bytes): choose a shorter one',
}

const PORT_ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the port is taken: stop the process that listens there, or choose another port',
  EADDRNOTAVAIL: 'this machine has no such address: choose one of its own, or 0.0.0.0 for all',
  EACCES: 'no permission: ports below 1024 need a privilege, choose a higher one',
  ENOTFOUND: 'the host name cannot be resolved: use an IP address',
  EAI_AGAIN: 'the host name cannot be resolved now: use an IP address',
}

/** The code that the runtime gave an error, such as EADDRINUSE, or nothing. */
export const systemCode = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : ''

/** One line: which listener, where, and what to do. */
export const listenError = (
  name: ListenerName,
  address: ListenAddress,
  error: unknown,
): KmeError => {
  const [advice, option] =
    'socket' in address ? [SOCKET_ADVICE, 'socket'] : [PORT_ADVICE, 'host and port']
  const reason = advice[systemCode(error)] ?? messageOf(error)
  const where = `(options listeners.${name}: ${option})`
  const message = `the ${name} listener cannot listen on ${formatAddress(address)}: ${reason} ${where}`
  return new KmeError('LISTEN_FAILED', message, { cause: error })
}
