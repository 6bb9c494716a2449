import { Agent, request as httpsRequest } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { ClientTls } from './certificates.ts'
import type { WireRequest } from './operations.ts'
import { HOST } from './ports.ts'

const TIMEOUT_MS = 15_000
const KEPT_OF_ANSWER = 200

/**
 * `kept`: each is used again and again. `fresh`: each serves one request and begins with a full
 * handshake, for no session is resumed.
 */
export type ConnectionUse = 'kept' | 'fresh'

/** A fixed number of connections with mutual TLS to one server, as one SAE. */
export class Connections implements Disposable {
  readonly count: number
  readonly #agent: Agent
  readonly #port: number

  constructor(
    count: number,
    port: number,
    { cert, key, ca }: ClientTls,
    use: ConnectionUse = 'kept',
  ) {
    this.count = count
    this.#port = port
    this.#agent = new Agent({
      ...{ cert, key, ca },
      minVersion: 'TLSv1.3',
      keepAlive: use === 'kept',
      maxSockets: count,
      maxFreeSockets: count,
      maxCachedSessions: 0,
    })
  }

  /** Resolves when the answer is here. @throws Error where it is not 200 */
  exchange({ method, path, body }: WireRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const headers =
        body === null
          ? { Accept: 'application/json' }
          : { 'Content-Type': 'application/json', 'Content-Length': body.length }
      const outgoing = httpsRequest(
        { agent: this.#agent, host: HOST, port: this.#port, method, path, headers },
        (response) => {
          readAnswer(response, resolve, reject)
        },
      )
      outgoing.setTimeout(TIMEOUT_MS, () => {
        outgoing.destroy(new Error(`no answer within ${String(TIMEOUT_MS / 1000)} s`))
      })
      outgoing.on('error', reject)
      outgoing.end(body ?? undefined)
    })
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }
}

/** The body of a good answer is a key: it is counted away, not kept. */
const readAnswer = (
  response: IncomingMessage,
  resolve: () => void,
  reject: (error: Error) => void,
): void => {
  response.on('error', reject)
  if (response.statusCode === 200) {
    response.on('end', resolve)
    response.resume()
    return
  }
  let said = ''
  response.setEncoding('utf8')
  response.on('data', (text: string) => {
    said = (said + text).slice(0, KEPT_OF_ANSWER)
  })
  response.on('end', () => {
    reject(new Error(`status ${String(response.statusCode)}: ${said}`))
  })
}
