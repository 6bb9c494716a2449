import { Agent, request as httpsRequest } from 'node:https'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { KmeError, messageOf } from '../errors.ts'
import { JSON_TYPE } from './errors.ts'
import { urlToHttpOptions } from 'node:url'
import { wipe } from '../support/wipe.ts'

export interface Etsi014ClientOptions {
  /** Of the KME, for example `https://kme-a.example:8443`. */
  readonly url: string | URL
  /** The SAE's certificate and private key, and the CAs of the KME; PEM. */
  readonly cert: string | Buffer
  readonly key: string | Buffer
  readonly ca: string | Buffer | readonly (string | Buffer)[]
  /** Name that the KME's certificate has to have; default: the host of the URL. */
  readonly servername?: string
  /** How long an answer may take; default 10 s. */
  readonly timeoutMs?: number
}

export interface HttpAnswer {
  readonly status: number
  /** The caller wipes it. */
  readonly body: Buffer
}

const DEFAULT_TIMEOUT_MS = 10_000
const MAX_ANSWER_BYTES = 16 * 1_048_576

/** One identity's connections to one KME. Never decompresses, follows no redirect. */
export class ClientHttp {
  readonly #base: URL
  readonly #agent: Agent
  readonly #timeoutMs: number

  /** @throws KmeError USAGE where the URL is not https: */
  constructor(options: Etsi014ClientOptions) {
    this.#base = baseOf(options.url)
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS
    const { cert, key, ca, servername } = options
    this.#agent = new Agent({
      cert,
      key,
      ca: typeof ca === 'string' || Buffer.isBuffer(ca) ? ca : [...ca],
      ...(servername === undefined ? {} : { servername }),
      minVersion: 'TLSv1.2',
      rejectUnauthorized: true,
      keepAlive: true,
    })
  }

  /** @throws KmeError PEER_UNAVAILABLE where no answer comes, PROTOCOL where it cannot be read */
  async exchange(path: string, body: Buffer | null): Promise<HttpAnswer> {
    try {
      return await this.#exchange(path, body)
    } catch (error) {
      if (error instanceof KmeError) throw error
      throw new KmeError(
        'PEER_UNAVAILABLE',
        `no answer from the KME at ${this.#base.host}: ${messageOf(error)}`,
        { cause: error },
      )
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #optionsOf(path: string, body: Buffer | null): RequestOptions {
    return {
      ...urlToHttpOptions(this.#base),
      // As it is: a URL would resolve an SAE ID of dots.
      path: this.#base.pathname.replace(/\/+$/, '') + path,
      agent: this.#agent,
      method: body === null ? 'GET' : 'POST',
      headers: {
        Accept: JSON_TYPE,
        'Accept-Encoding': 'identity',
        ...(body === null ? {} : { 'Content-Type': JSON_TYPE, 'Content-Length': body.length }),
      },
      signal: AbortSignal.timeout(this.#timeoutMs),
    }
  }

  #exchange(path: string, body: Buffer | null): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest(this.#optionsOf(path, body), (response) => {
        readAnswer(response).then(resolve, reject)
      })
      request.on('error', reject)
      request.end(body ?? undefined)
    })
  }
}

const baseOf = (url: string | URL): URL => {
  const base = URL.parse(url.toString())
  if (base?.protocol !== 'https:') {
    throw new KmeError('USAGE', `the URL of a KME begins with https://, not ${String(url)}`)
  }
  return base
}

const checkReadable = ({ headers }: IncomingMessage): void => {
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding.toLowerCase() !== 'identity') {
    throw new KmeError('PROTOCOL', `the KME answered with Content-Encoding ${encoding}`)
  }
}

const readAnswer = async (response: IncomingMessage): Promise<HttpAnswer> => {
  const chunks: Buffer[] = []
  let length = 0
  try {
    checkReadable(response)
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      length += chunk.length
      if (length > MAX_ANSWER_BYTES) {
        throw new KmeError('PROTOCOL', `the KME answered with more than ${MAX_ANSWER_BYTES} bytes`)
      }
    }
    return { status: response.statusCode ?? 0, body: Buffer.concat(chunks, length) }
  } catch (error) {
    response.destroy()
    throw error
  } finally {
    wipe(...chunks)
  }
}
