import { once } from 'node:events'
import { createServer } from 'node:net'
import { KmeError, messageOf } from '../errors.ts'
import { type DemoLayout, HOST, portsOf } from './layout.ts'
import { HIGHEST_PORT_BASE } from './options.ts'

const STEP = 100

const problemWith = async (port: number): Promise<string | null> => {
  const server = createServer()
  try {
    server.listen({ host: HOST, port })
    await once(server, 'listening')
    return null
  } catch (error) {
    const taken =
      typeof error === 'object' && error !== null && 'code' in error && error.code === 'EADDRINUSE'
    return taken ? 'is taken' : `cannot be used (${messageOf(error)})`
  } finally {
    server.close()
  }
}

/**
 * Looks whether all ports of the demo are free before anything is made.
 * @throws KmeError LISTEN_FAILED naming the first that is not
 */
export const checkPorts = async (layout: DemoLayout): Promise<void> => {
  for (const port of portsOf(layout)) {
    const problem = await problemWith(port)
    if (problem === null) continue
    const other = layout.portBase + STEP
    const proposal = other <= HIGHEST_PORT_BASE ? other : layout.portBase - STEP
    throw new KmeError(
      'LISTEN_FAILED',
      `port ${String(port)} ${problem}: stop what listens there, or choose other ports, for example --port-base ${String(proposal)}`,
    )
  }
}
