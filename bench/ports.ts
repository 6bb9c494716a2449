import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

export const HOST = '127.0.0.1'

/** Below the range from which systems take the ports of outgoing connections. */
const FIRST = 12_000
const AFTER_LAST = 32_000

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  try {
    server.listen({ host: HOST, port })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** Ports on loopback that nobody listens on now. */
export const freePorts = async (count: number): Promise<readonly number[]> => {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(FIRST, AFTER_LAST)
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
}
