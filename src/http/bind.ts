import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import type { Server } from 'node:http'
import { createConnection } from 'node:net'
import { type ListenAddress, type ListenerName, listenError, systemCode } from './listen-error.ts'

const listen = async (server: Server, address: ListenAddress): Promise<void> => {
  if ('socket' in address) server.listen({ path: address.socket })
  else server.listen({ host: address.host, port: address.port })
  await once(server, 'listening')
}

const nobodyAnswers = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createConnection({ path })
    probe.once('connect', () => {
      probe.destroy()
      resolve(false)
    })
    probe.once('error', (error) => {
      resolve(systemCode(error) === 'ECONNREFUSED')
    })
  })

/** Whether it is a Unix socket left over by a process that is gone. */
const isAbandoned = async (path: string): Promise<boolean> =>
  (await lstat(path)).isSocket() && (await nobodyAnswers(path))

const listenOnSocket = async (
  server: Server,
  address: { readonly socket: string },
): Promise<void> => {
  try {
    await listen(server, address)
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE' || !(await isAbandoned(address.socket))) throw error
    await unlink(address.socket)
    await listen(server, address)
  }
}

const boundAddress = (server: Server, wanted: ListenAddress): ListenAddress => {
  const bound = server.address()
  if ('socket' in wanted || bound === null || typeof bound === 'string') return wanted
  return { host: wanted.host, port: bound.port }
}

/** Binds the server. Returns where, with the port that the system chose. @throws KmeError LISTEN_FAILED */
export const bind = async (
  server: Server,
  name: ListenerName,
  address: ListenAddress,
): Promise<ListenAddress> => {
  try {
    await ('socket' in address ? listenOnSocket(server, address) : listen(server, address))
    return boundAddress(server, address)
  } catch (error) {
    throw listenError(name, address, error)
  }
}
