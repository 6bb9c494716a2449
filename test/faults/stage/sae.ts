import { readKeyContainer, errorOf } from '../../../src/etsi014/client-answers.ts'
import { ClientHttp } from '../../../src/etsi014/client-http.ts'
import { isKmeError, messageOf } from '../../../src/errors.ts'
import type { KeyMessage } from '../../../src/etsi014/messages.ts'
import { wipe } from '../../../src/support/wipe.ts'
import type { LabCertificate } from '../../helpers/kme-lab.ts'
import type { Answer, Recorder } from '../recorder.ts'
import type { Outcome, SiteName, SlaveNamed } from '../record.ts'

/** Longer than a KME lets anybody wait, shorter than a frozen one is frozen. */
const TIMEOUT_MS = 15_000
const BITS_PER_BYTE = 8

export interface DrawRequest {
  /** The first stands in the path, the others in the body. */
  readonly slaves: readonly [SlaveNamed, ...SlaveNamed[]]
  readonly number: number
  readonly sizeBits: number
  /** As GET with parameters, where the request has no additional slaves. */
  readonly asGet: boolean
}

export interface SaePlace {
  readonly saeId: string
  readonly site: SiteName
  readonly url: string
  readonly certificate: LabCertificate
}

/** An SAE whose every answer is recorded. */
export class Sae {
  readonly saeId: string
  readonly site: SiteName
  readonly #http: ClientHttp
  readonly #recorder: Recorder

  constructor({ saeId, site, url, certificate }: SaePlace, recorder: Recorder) {
    this.saeId = saeId
    this.site = site
    const { cert, key, ca } = certificate
    this.#http = new ClientHttp({ url, cert, key, ca, timeoutMs: TIMEOUT_MS })
    this.#recorder = recorder
  }

  async draw({ slaves, number, sizeBits, asGet }: DrawRequest): Promise<Answer> {
    const [first, ...others] = slaves
    const additional = others.map(({ saeId }) => saeId)
    const body = {
      number,
      size: sizeBits,
      ...(additional.length > 0 ? { additional_slave_SAE_IDs: additional } : {}),
    }
    const query = asGet && others.length === 0 ? `?number=${number}&size=${sizeBits}` : ''
    const startedMs = performance.now()
    const answer = await this.#ask(
      `/api/v1/keys/${first.saeId}/enc_keys${query}`,
      query === '' ? body : null,
      (keys) =>
        keys.length === number && keys.every(({ key }) => key.length * BITS_PER_BYTE === sizeBits),
    )
    const { saeId: masterId, site } = this
    const times = { startedMs, endedMs: performance.now() }
    this.#recorder.draws.push({ call: 'draw', site, masterId, slaves, ...answer, ...times })
    return answer
  }

  async fetch(masterId: string, keyIds: readonly string[]): Promise<Answer> {
    const startedMs = performance.now()
    const [only = '', ...more] = keyIds
    const asGet = more.length === 0
    const answer = await this.#ask(
      `/api/v1/keys/${masterId}/dec_keys${asGet ? `?key_ID=${only}` : ''}`,
      asGet ? null : { key_IDs: keyIds.map((keyId) => ({ key_ID: keyId })) },
      (keys) => keys.length === keyIds.length,
    )
    const { saeId, site } = this
    const times = { startedMs, endedMs: performance.now() }
    this.#recorder.fetches.push({
      call: 'fetch',
      site,
      saeId,
      masterId,
      keyIds,
      ...answer,
      ...times,
    })
    return answer
  }

  close(): void {
    this.#http.close()
  }

  async #ask(
    path: string,
    body: unknown,
    isWhole: (keys: readonly KeyMessage[]) => boolean,
  ): Promise<Answer> {
    try {
      const sent = body === null ? null : Buffer.from(JSON.stringify(body))
      const answer = await this.#http.exchange(path, sent)
      if (answer.status !== 200) throw errorOf(answer)
      const keys = readKeyContainer(answer.body)
      if (isWhole(keys)) return { outcome: { result: 'answered' }, keys: this.#recorder.see(keys) }
      wipe(...keys.map(({ key }) => key))
      return { outcome: { result: 'broken', message: 'other keys than asked for' }, keys: [] }
    } catch (error) {
      return { outcome: outcomeOf(error), keys: [] }
    }
  }
}

const outcomeOf = (error: unknown): Outcome => {
  if (isKmeError(error, 'PEER_UNAVAILABLE')) {
    return { result: isRefusedConnection(error.cause) ? 'unsent' : 'lost' }
  }
  if (!isKmeError(error) || error.code === 'PROTOCOL') {
    return { result: 'broken', message: messageOf(error) }
  }
  return { result: 'refused', code: error.code }
}

const isRefusedConnection = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
