import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { KmeError, messageOf } from '../errors.ts'
import type { DeviceId, LinkId } from '../model/ids.ts'
import type { ControlValue } from '../ports/qkd-driver.ts'
import type {
  AlarmView,
  ControlRequest,
  LinkAnswer,
  LinkView,
  ReadyAnswer,
  RotateKekRequest,
  StatusAnswer,
} from './admin-parts.ts'

export type * from './admin-parts.ts'

export interface AdminClientOptions {
  /** For example `https://127.0.0.1:8445`. */
  readonly url: string
  /** PEM: the operator's certificate and private key. */
  readonly cert: string | Buffer
  readonly key: string | Buffer
  /** PEM: the CA of the KME's certificate; or `pinnedCert`. */
  readonly ca?: string | Buffer
  /** PEM: the very certificate that the KME must show; its names do not matter then. */
  readonly pinnedCert?: string | Buffer
  readonly timeoutMs?: number
}

const DEFAULT_TIMEOUT_MS = 10_000
/** More than any answer of the operator API has. */
const MAX_ANSWER_BYTES = 16_777_216

interface Exchange {
  readonly status: number
  readonly body: unknown
}

const readBody = async (response: IncomingMessage): Promise<string> => {
  if (response.headers['content-encoding'] !== undefined) {
    throw new KmeError('PROTOCOL', 'the answer is compressed, which was not asked for')
  }
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new KmeError('PROTOCOL', 'the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const parse = (text: string): unknown => {
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new KmeError('PROTOCOL', 'the answer is not JSON: is this the admin listener?', { cause })
  }
}

const messageIn = (body: unknown): string | undefined =>
  typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string'
    ? body.message
    : undefined

/** The client side of the operator API. Each call is one connection: it is for people and tests. */
export class AdminClient {
  readonly #options: AdminClientOptions
  readonly #url: URL

  /** @throws KmeError USAGE where the URL is none of https */
  constructor(options: AdminClientOptions) {
    this.#options = options
    if (!URL.canParse(options.url) || !options.url.startsWith('https://')) {
      throw new KmeError('USAGE', `${options.url}: expected a URL like https://127.0.0.1:8445`)
    }
    this.#url = new URL(options.url)
  }

  async status(): Promise<StatusAnswer> {
    return (await this.#expect(200, 'GET', '/admin/v1/status')) as StatusAnswer
  }

  async links(): Promise<readonly LinkView[]> {
    const { links } = (await this.#expect(200, 'GET', '/admin/v1/links')) as { links: LinkView[] }
    return links
  }

  async link(linkId: LinkId): Promise<LinkAnswer> {
    const path = `/admin/v1/links/${encodeURIComponent(linkId)}`
    return (await this.#expect(200, 'GET', path)) as LinkAnswer
  }

  async alarms(): Promise<readonly AlarmView[]> {
    const body = (await this.#expect(200, 'GET', '/admin/v1/alarms')) as { alarms: AlarmView[] }
    return body.alarms
  }

  async ready(): Promise<ReadyAnswer> {
    const { status, body } = await this.#exchange('GET', '/readyz')
    if (status !== 200 && status !== 503) throw this.#refused(status, body)
    return body as ReadyAnswer
  }

  async control(
    linkId: LinkId,
    deviceId: DeviceId,
    name: string,
    value: ControlValue,
  ): Promise<void> {
    const link = `/admin/v1/links/${encodeURIComponent(linkId)}`
    const path = `${link}/devices/${encodeURIComponent(deviceId)}/control`
    await this.#expect(204, 'POST', path, { name, value })
  }

  async rotateKek(kekId: string): Promise<void> {
    await this.#expect(204, 'POST', '/admin/v1/store/rotate-kek', { kekId })
  }

  async #expect(
    expected: number,
    method: 'GET' | 'POST',
    path: string,
    sent?: ControlRequest | RotateKekRequest,
  ): Promise<unknown> {
    const { status, body } = await this.#exchange(method, path, sent)
    if (status !== expected) throw this.#refused(status, body)
    return body
  }

  #refused(status: number, body: unknown): KmeError {
    const code = status === 401 || status === 403 ? 'UNAUTHORIZED' : 'BAD_REQUEST'
    const reason = messageIn(body) ?? 'no reason given'
    return new KmeError(code, `${this.#url.origin} answered ${String(status)}: ${reason}`)
  }

  async #exchange(
    method: string,
    path: string,
    sent?: ControlRequest | RotateKekRequest,
  ): Promise<Exchange> {
    try {
      const response = await this.#send(method, path, sent)
      return { status: response.statusCode ?? 0, body: parse(await readBody(response)) }
    } catch (cause) {
      if (cause instanceof KmeError) throw cause
      const message = `cannot ask ${this.#url.origin}: ${messageOf(cause)}`
      throw new KmeError('PEER_UNAVAILABLE', message, { cause })
    }
  }

  #send(
    method: string,
    path: string,
    sent?: ControlRequest | RotateKekRequest,
  ): Promise<IncomingMessage> {
    const { cert, key, ca, pinnedCert, timeoutMs = DEFAULT_TIMEOUT_MS } = this.#options
    const trust =
      pinnedCert === undefined
        ? { ca }
        : // The one certificate is the trust anchor: whoever shows it holds its private key.
          { ca: pinnedCert, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
    const body = sent === undefined ? undefined : JSON.stringify(sent)
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.#url), {
        method,
        cert,
        key,
        ...trust,
        agent: false,
        minVersion: 'TLSv1.3',
        signal: AbortSignal.timeout(timeoutMs),
        headers: body === undefined ? {} : { 'Content-Type': 'application/json' },
      })
      outgoing.once('response', resolve)
      outgoing.once('error', reject)
      outgoing.end(body)
    })
  }
}
