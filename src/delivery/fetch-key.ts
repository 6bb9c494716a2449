import type { FetchKeysRequest, FetchedKeys } from './requests.ts'
import {
  type DeliveryId,
  type KeyId,
  type KeyIdParts,
  MAX_KEYS_PER_DELIVERY,
  splitKeyId,
} from '../model/key-id.ts'
import type { Destination, LocalSae, SaeDirectory } from '../ports/destination.ts'
import type { DeliveryStore } from '../ports/delivery-store.ts'
import { KmeError } from '../errors.ts'
import type { Moment } from '../model/moment.ts'
import type { LinkId, SaeId } from '../model/ids.ts'
import { maxKeysPerRequest } from './key-limits.ts'
import { wipe } from '../support/wipe.ts'

export interface FetchKeyParts {
  readonly directory: SaeDirectory
  readonly store: Pick<DeliveryStore, 'fetchKeys'>
  readonly now: () => Moment
}

/** Where this master's keys come from, if that is known. */
const sourceOf = (directory: SaeDirectory, masterId: SaeId): Destination | null => {
  const location = directory.locate(masterId)
  if (location.kind === 'remote') return location.destination
  return location.kind === 'here' ? directory.localDestination() : null
}

/** What the link says over which this master's keys come. */
const mostKeysOf = (source: Destination | null): number =>
  source === null ? MAX_KEYS_PER_DELIVERY : maxKeysPerRequest(source.limits)

/** @throws KmeError BAD_REQUEST */
const checkKeyIds = (keyIds: readonly KeyId[], most: number): readonly KeyId[] => {
  if (keyIds.length === 0) throw new KmeError('BAD_REQUEST', 'key_IDs shall name at least one key')
  if (keyIds.length > most) {
    throw new KmeError(
      'BAD_REQUEST',
      `key_IDs shall name at most ${most} keys (max_key_per_request)`,
    )
  }
  const exact = keyIds.map((keyId) => keyId.toLowerCase())
  if (new Set(exact).size < exact.length) {
    throw new KmeError('BAD_REQUEST', 'key_IDs shall name no key twice')
  }
  return exact
}

const deliveryIdsOf = (keys: readonly KeyIdParts[]): readonly DeliveryId[] => [
  ...new Map(keys.map(({ deliveryId }) => [deliveryId.toString('hex'), deliveryId])).values(),
]

const checkFetched = (keys: readonly Buffer[], expected: number): void => {
  if (keys.length === expected) return
  wipe(...keys)
  throw new KmeError('INTERNAL', `asked for ${expected} keys, got ${keys.length}`)
}

/**
 * *Get key with key IDs* (ETSI GS QKD 014, 5.4): all the keys, in the order asked, or none.
 * @throws KmeError BAD_REQUEST, UNAUTHORIZED (goes first), KEY_NOT_FOUND, PEER_UNAVAILABLE (it is not known yet whether there are such keys)
 */
export const fetchKeys = async (
  { directory, store, now }: FetchKeyParts,
  sae: LocalSae,
  { masterId, keyIds: asked }: FetchKeysRequest,
): Promise<FetchedKeys> => {
  const source = sourceOf(directory, masterId)
  const keyIds = checkKeyIds(asked, mostKeysOf(source))
  const keys: readonly KeyIdParts[] = keyIds.map(splitKeyId)
  const caller = { saeId: sae.saeId, registrationId: sae.registrationId }
  const request = {
    sae: caller,
    masterSaeId: masterId,
    keys,
    // The master's keys may come over several links where it is registered here.
    redeliveryWindowMs: (linkId: LinkId) => directory.redeliveryWindowMs(linkId),
  }
  let result = await store.fetchKeys(request, now())
  // The master may have them before this KME was told.
  if (result.outcome === 'not-found' && source?.bring) {
    await source.bring(deliveryIdsOf(keys), caller)
    result = await store.fetchKeys(request, now())
  }
  switch (result.outcome) {
    case 'unauthorized':
      throw new KmeError(
        'UNAUTHORIZED',
        'the calling SAE was not named as a slave for at least one of these keys',
      )
    case 'not-found':
      throw new KmeError('KEY_NOT_FOUND', 'one or more keys specified are not found on KME')
    case 'fetched':
      checkFetched(result.keys, keyIds.length)
      return {
        keys: result.keys.map((key, i) => ({ keyId: keyIds[i] ?? '', key })),
        redeliveryWindowMs: result.redeliveryWindowMs ?? 0,
      }
  }
}
