import type {
  DeliveredKeys,
  FetchKeysRequest,
  FetchedKeys,
  GetKeyRequest,
  KeyStatus,
} from './requests.ts'
import type { LocalSae, SaeDirectory } from '../ports/destination.ts'
import type { KmeId, SaeId } from '../model/ids.ts'
import type { DeliveryStore } from '../ports/delivery-store.ts'
import type { Moment } from '../model/moment.ts'
import type { Observer } from '../ports/observer.ts'
import { fetchKeys } from './fetch-key.ts'
import { getKey } from './get-key.ts'
import { isKmeError } from '../errors.ts'
import { statusOf } from './status.ts'

export interface KeyDeliveryParts {
  readonly kmeId: KmeId
  readonly directory: SaeDirectory
  readonly store: Pick<DeliveryStore, 'fetchKeys'>
  readonly now: () => Moment
  readonly observer: Observer
}

/**
 * Key delivery to SAEs: the three operations of ETSI GS QKD 014, without its HTTP. The caller of
 * each is an SAE that was authenticated for this very call. All refusals are KmeErrors; a refusal
 * before keys are issued consumes nothing.
 */
export class KeyDelivery {
  readonly #parts: KeyDeliveryParts

  constructor(parts: KeyDeliveryParts) {
    this.#parts = parts
  }

  /** @throws KmeError SLAVE_UNKNOWN, BAD_REQUEST, NOT_READY */
  status(master: LocalSae, slaveId: SaeId): KeyStatus {
    const { kmeId, directory } = this.#parts
    return statusOf(kmeId, directory, master, slaveId)
  }

  /** @throws KmeError of the checks, or of `Destination.issue` */
  getKey(master: LocalSae, request: GetKeyRequest): Promise<DeliveredKeys> {
    return getKey(this.#parts.directory, master, request)
  }

  /** @throws KmeError BAD_REQUEST, UNAUTHORIZED, KEY_NOT_FOUND; the keys stay where they are then */
  async fetchKeys(sae: LocalSae, request: FetchKeysRequest): Promise<FetchedKeys> {
    try {
      return await fetchKeys(this.#parts, sae, request)
    } catch (error) {
      if (isKmeError(error, 'UNAUTHORIZED')) this.#tellForeignFetch(sae, request)
      throw error
    }
  }

  /** An SAE that asks for the keys of others is misconfigured or worse: an operator wants to know. */
  #tellForeignFetch(sae: LocalSae, { keyIds }: FetchKeysRequest): void {
    this.#parts.observer.event({
      level: 'warn',
      name: 'delivery.fetch.unauthorized',
      message: 'an SAE asked for keys that it was not named for',
      fields: { sae: sae.saeId, keys: keyIds.length },
    })
  }
}
