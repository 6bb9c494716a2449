/** The calls that are measured, as an SAE sends them. */

export const OPERATIONS = ['get-key', 'get-key-with-ids'] as const
export type OperationName = (typeof OPERATIONS)[number]

export const OPERATION_TITLES = {
  'get-key': 'Get key',
  'get-key-with-ids': 'Get key with key IDs',
} as const satisfies Record<OperationName, string>

export const KEY_SIZE_BITS = 256
export const KEY_BYTES = KEY_SIZE_BITS / 8
/** As many as a request may ask for in the default configuration. */
export const MOST_KEYS_PER_CALL = 128

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: Buffer | null
}

const get = (saeId: string, what: string): WireRequest => ({
  method: 'GET',
  path: `/api/v1/keys/${saeId}/${what}`,
  body: null,
})

export const getKeyRequest = (slaveId: string, keys = 1): WireRequest =>
  get(slaveId, `enc_keys?number=${String(keys)}&size=${String(KEY_SIZE_BITS)}`)

/** The cheapest call: nothing is stored, the peer is not asked. */
export const statusRequest = (slaveId: string): WireRequest => get(slaveId, 'status')

export const getKeysWithIdsRequest = (
  masterId: string,
  keyIds: readonly string[],
): WireRequest => ({
  method: 'POST',
  path: `/api/v1/keys/${masterId}/dec_keys`,
  body: Buffer.from(JSON.stringify({ key_IDs: keyIds.map((keyId) => ({ key_ID: keyId })) })),
})

/** What both calls are answered with, but for the key: the bare server's constant. */
export const constantAnswer = (): Buffer => {
  const key = Buffer.alloc(KEY_BYTES).toString('base64')
  const keyId = '00000000-0000-4000-8000-000000000000'
  return Buffer.from(JSON.stringify({ keys: [{ key_ID: keyId, key }] }))
}
