import { ClientHttp, type Etsi014ClientOptions } from './client-http.ts'
import type { KeyIdsMessage, KeyMessage, KeyRequestMessage, StatusMessage } from './messages.ts'
import { errorOf, readKeyContainer, readStatus } from './client-answers.ts'
import { KmeError } from '../errors.ts'
import { wipe } from '../support/wipe.ts'

export type { Etsi014ClientOptions } from './client-http.ts'

const bodyOf = (message: KeyRequestMessage | KeyIdsMessage): Buffer =>
  Buffer.from(JSON.stringify(message))

const pathOf = (saeId: string, method: string): string =>
  `/api/v1/keys/${encodeURIComponent(saeId)}/${method}`

const wrongAnswer = (what: string): KmeError =>
  new KmeError('PROTOCOL', `the KME's answer cannot be used: ${what}`)

/**
 * An SAE's side of ETSI GS QKD 014, towards any maker's KME, as one SAE: its certificate says which.
 * A KME's refusal is a KmeError with the code of what it said: BAD_REQUEST, UNAUTHORIZED,
 * KEY_NOT_FOUND, OPTIONS_NOT_MET, NOT_READY (503); no answer is PEER_UNAVAILABLE; an answer that
 * breaks the standard is PROTOCOL. Nothing is tried twice: a lost answer may have held keys.
 */
export class Etsi014Client implements Disposable {
  readonly #http: ClientHttp

  constructor(options: Etsi014ClientOptions) {
    this.#http = new ClientHttp(options)
  }

  async status(slaveId: string): Promise<StatusMessage> {
    return readStatus(await this.#ask(pathOf(slaveId, 'status'), null))
  }

  /** Draws keys as their master. The caller owns and wipes them. */
  async getKey(slaveId: string, request: KeyRequestMessage = {}): Promise<readonly KeyMessage[]> {
    const keys = await this.#keys(pathOf(slaveId, 'enc_keys'), request)
    const { number = 1, size = (keys[0]?.key.length ?? 0) * 8 } = request
    if (keys.length === number && keys.every(({ key }) => key.length * 8 === size)) return keys
    wipe(...keys.map(({ key }) => key))
    throw wrongAnswer('other keys than were asked for')
  }

  /** Fetches keys as their slave, in the order asked. The caller owns and wipes them. */
  async getKeysWithIds(
    masterId: string,
    keyIds: readonly string[],
  ): Promise<readonly KeyMessage[]> {
    const request: KeyIdsMessage = { key_IDs: keyIds.map((keyId) => ({ key_ID: keyId })) }
    const keys = await this.#keys(pathOf(masterId, 'dec_keys'), request)
    const byId = new Map(keys.map((message) => [message.key_ID, message]))
    const found = keyIds.map((keyId) => byId.get(keyId.toLowerCase()))
    const complete = found.filter((message) => message !== undefined)
    if (complete.length === keyIds.length && keys.length === keyIds.length) return complete
    wipe(...keys.map(({ key }) => key))
    throw wrongAnswer('other keys than were asked for')
  }

  /** Closes the connections. */
  close(): void {
    this.#http.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  async #keys(
    path: string,
    request: KeyRequestMessage | KeyIdsMessage,
  ): Promise<readonly KeyMessage[]> {
    return readKeyContainer(await this.#ask(path, bodyOf(request)))
  }

  async #ask(path: string, body: Buffer | null): Promise<Buffer> {
    const answer = await this.#http.exchange(path, body)
    if (answer.status === 200) return answer.body
    throw errorOf(answer)
  }
}
