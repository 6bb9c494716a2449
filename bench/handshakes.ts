import { Connections } from './connections.ts'
import type { Ground } from './ground.ts'
import { type Slice, runSlice } from './load.ts'
import { statusRequest } from './operations.ts'

/** One request per connection, each connection with a full mutual TLS handshake. */
export interface HandshakeResult {
  /** So many are under way at once. */
  readonly connections: number
  readonly kme: readonly Slice[]
  readonly bare: readonly Slice[]
}

const AT_ONCE = 8

export const measureHandshakes = async (ground: Ground): Promise<HandshakeResult> => {
  const { lab, pace, hertz, signal } = ground
  const { a, b, bare } = lab
  const request = statusRequest(b.saeId)
  const slice = async (port: number, pid: number, windowMs: number): Promise<Slice> => {
    using connections = new Connections(AT_ONCE, port, a.tls, 'fresh')
    const next = () => request
    const { leadInMs } = pace
    return await runSlice({ connections, next, windowMs, leadInMs, pids: [pid], hertz, signal })
  }
  const ofKme = (windowMs: number) => slice(a.saePort, a.child.pid, windowMs)
  const ofBare = (windowMs: number) => slice(bare.port, bare.child.pid, windowMs)
  for (const warmUp of [ofKme, ofBare]) await warmUp(pace.warmUpMs)
  const kme: Slice[] = []
  const bareSlices: Slice[] = []
  for (let round = 0; round < pace.rounds; round += 1) {
    bareSlices.push(await ofBare(pace.sliceMs))
    kme.push(await ofKme(pace.sliceMs))
  }
  return { connections: AT_ONCE, kme, bare: bareSlices }
}
