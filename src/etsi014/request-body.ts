import type { IncomingMessage } from 'node:http'
import { RequestRefusal } from './errors.ts'

const EMPTY = Buffer.alloc(0)

/** The client went away in the middle of its request: nobody is left to answer to. */
export class RequestAborted extends Error {
  constructor(options?: ErrorOptions) {
    super('the client closed the connection in the middle of a request', options)
    this.name = 'RequestAborted'
  }
}

const declaredLength = (request: IncomingMessage): number =>
  Number(request.headers['content-length'] ?? 0)

const hasBody = (request: IncomingMessage): boolean =>
  request.headers['transfer-encoding'] !== undefined || declaredLength(request) > 0

/**
 * Feeds the body to `take` until it ends or `take` wants no more.
 * @returns whether it ended
 */
const consume = (request: IncomingMessage, take: (chunk: Buffer) => boolean): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose)
      finish()
    }
    const onData = (chunk: Buffer): void => {
      if (take(chunk)) return
      request.pause()
      settle(() => {
        resolve(false)
      })
    }
    const onEnd = (): void => {
      settle(() => {
        resolve(true)
      })
    }
    const onError = (cause: Error): void => {
      settle(() => {
        reject(new RequestAborted({ cause }))
      })
    }
    const onClose = (): void => {
      settle(() => {
        reject(new RequestAborted())
      })
    }
    if (request.destroyed) {
      reject(new RequestAborted())
      return
    }
    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose)
    request.resume()
  })

/**
 * Nothing is ever decompressed: a small body could become a huge one, and decoders have had holes.
 * @throws RequestRefusal 415
 */
export const checkEncoding = ({ headers }: IncomingMessage): void => {
  const encoding = headers['content-encoding'] ?? ''
  if (encoding !== '' && encoding.trim().toLowerCase() !== 'identity') {
    throw new RequestRefusal(415, 'no Content-Encoding but identity is accepted')
  }
  const transfer = headers['transfer-encoding'] ?? 'chunked'
  if (transfer.trim().toLowerCase() !== 'chunked') {
    throw new RequestRefusal(415, 'no Transfer-Encoding but chunked is accepted')
  }
}

const JSON_MEDIA_TYPE = /^application\/json[ \t]*(?:;|$)/i
const CHARSET = /;[ \t]*charset="?([^";]*)"?/i

/** JSON has no parameters; what a client adds means nothing, unless it names another encoding. */
const isJson = (type: string): boolean =>
  JSON_MEDIA_TYPE.test(type) && /^(utf-8|utf8)?$/i.test(CHARSET.exec(type)?.[1]?.trim() ?? '')

/** The whole body, or null where it is longer than `maxBytes`. @throws RequestAborted */
const readBody = async (request: IncomingMessage, maxBytes: number): Promise<Buffer | null> => {
  if (!hasBody(request)) return EMPTY
  if (declaredLength(request) > maxBytes) return null
  const chunks: Buffer[] = []
  let length = 0
  const ended = await consume(request, (chunk) => {
    length += chunk.length
    if (length > maxBytes) return false
    chunks.push(chunk)
    return true
  })
  return ended ? Buffer.concat(chunks, length) : null
}

const tooLarge = (maxBytes: number): RequestRefusal =>
  new RequestRefusal(413, `the body is longer than ${maxBytes} bytes`)

/**
 * The body of a POST; empty where there is none, whatever its type.
 * @throws RequestRefusal 413, 415; RequestAborted
 */
export const readJsonBody = async (request: IncomingMessage, maxBytes: number): Promise<Buffer> => {
  const body = await readBody(request, maxBytes)
  const type = request.headers['content-type']
  if (body?.length !== 0 && type !== undefined && !isJson(type.trim())) {
    throw new RequestRefusal(415, 'the body shall be application/json in UTF-8')
  }
  if (body === null) throw tooLarge(maxBytes)
  return body
}

/** The body of a GET means nothing, but has to be gone before the next request. @throws RequestRefusal 413; RequestAborted */
export const discardBody = async (request: IncomingMessage, maxBytes: number): Promise<void> => {
  if ((await readBody(request, maxBytes)) === null) throw tooLarge(maxBytes)
}

/** So much of a body is taken in before a refusal is answered, so that the connection can go on. */
const LINGER_BYTES = 262_144
/** So long a body is taken in after its answer: closing at once would reset the connection, answer and all. */
const LINGER_MS = 3000

/**
 * Takes in what is left of a body whose request is refused.
 * @returns whether it ended: otherwise the connection cannot go on
 * @throws RequestAborted
 */
export const drainBody = async (request: IncomingMessage): Promise<boolean> => {
  if (request.complete || !hasBody(request)) return true
  if (declaredLength(request) > LINGER_BYTES) return false
  let length = 0
  return consume(request, (chunk) => {
    length += chunk.length
    return length <= LINGER_BYTES
  })
}

/** Takes in and drops what still comes of a body that was answered, until it ends or time is up. */
export const discardRest = (request: IncomingMessage): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      request.off('end', done).off('error', done).off('close', done)
      resolve()
    }
    const timer = setTimeout(done, LINGER_MS)
    if (request.destroyed) done()
    else request.once('end', done).once('error', done).once('close', done).resume()
  })
