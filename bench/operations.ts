/** The two calls that are measured, as an SAE sends them. */

export const OPERATIONS = ['get-key', 'get-key-with-ids'] as const
export type OperationName = (typeof OPERATIONS)[number]

export const OPERATION_TITLES = {
  'get-key': 'Get key',
  'get-key-with-ids': 'Get key with key IDs',
} as const satisfies Record<OperationName, string>

export const KEY_SIZE_BITS = 256

/** A request as it goes over the wire. */
export interface WireRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: Buffer | null
}

export const getKeyRequest = (slaveId: string): WireRequest => ({
  method: 'GET',
  path: `/api/v1/keys/${slaveId}/enc_keys?number=1&size=${String(KEY_SIZE_BITS)}`,
  body: null,
})

export const getKeyWithIdsRequest = (masterId: string, keyId: string): WireRequest => ({
  method: 'POST',
  path: `/api/v1/keys/${masterId}/dec_keys`,
  body: Buffer.from(JSON.stringify({ key_IDs: [{ key_ID: keyId }] })),
})

/** What both calls are answered with, but for the key: the bare server's constant. */
export const constantAnswer = (): Buffer => {
  const key = Buffer.alloc(KEY_SIZE_BITS / 8).toString('base64')
  const keyId = '00000000-0000-4000-8000-000000000000'
  return Buffer.from(JSON.stringify({ keys: [{ key_ID: keyId, key }] }))
}
