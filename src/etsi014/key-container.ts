import type { DeliveredKeys, FetchedKeys } from '../delivery/requests.ts'
import { base64Length, writeBase64 } from './base64.ts'
import type { KeyMessage } from './messages.ts'
import { redeliveryExtension } from './messages.ts'
import { keyIdOf } from '../model/key-id.ts'
import { wipe } from '../support/wipe.ts'

/**
 * The key container of 6.3, written byte by byte into one buffer: no key is ever a string, and one
 * wipe after the answer removes all of them.
 */
const HEAD = '{"keys":['
const BEFORE_ID = '{"key_ID":"'
const BEFORE_KEY = '","key":"'
const AFTER_KEY = '"}'
const BETWEEN = ','
const TAIL = ']'
const END = '}'
const KEY_ID_LENGTH = 36
const PER_KEY = BEFORE_ID.length + KEY_ID_LENGTH + BEFORE_KEY.length + AFTER_KEY.length

const containerLength = (keys: readonly KeyMessage[], tail: string): number =>
  keys.reduce((sum, { key }) => sum + PER_KEY + base64Length(key.length), 0) +
  Math.max(0, keys.length - 1) * BETWEEN.length +
  HEAD.length +
  tail.length

/** Ours holds names and numbers: ASCII. */
const extensionText = (extension: Readonly<Record<string, unknown>> | undefined): string =>
  extension === undefined ? '' : `,"key_container_extension":${JSON.stringify(extension)}`

/** JSON of the container. The caller wipes it, and the keys. */
export const encodeKeyContainer = (
  keys: readonly KeyMessage[],
  extension?: Readonly<Record<string, unknown>>,
): Buffer => {
  const tail = TAIL + extensionText(extension) + END
  // Not from the shared pool: nothing else lives in what is wiped.
  const json = Buffer.allocUnsafeSlow(containerLength(keys, tail))
  let at = json.write(HEAD, 0, 'latin1')
  keys.forEach(({ key_ID, key }, i) => {
    if (i > 0) at += json.write(BETWEEN, at, 'latin1')
    at += json.write(BEFORE_ID + key_ID + BEFORE_KEY, at, 'latin1')
    at = writeBase64(key, json, at)
    at += json.write(AFTER_KEY, at, 'latin1')
  })
  json.write(tail, at, 'latin1')
  return json
}

/** The answer of *Get key*; wipes the material. */
export const deliveredContainer = (delivered: DeliveredKeys): Buffer => {
  const { deliveryId, keyCount, keyLengthBytes, material } = delivered
  const keys = Array.from({ length: keyCount }, (_, i) => ({
    key_ID: keyIdOf(deliveryId, i),
    key: material.subarray(i * keyLengthBytes, (i + 1) * keyLengthBytes),
  }))
  try {
    return encodeKeyContainer(keys)
  } finally {
    wipe(material)
  }
}

/** The answer of *Get key with key IDs*; wipes the keys. */
export const fetchedContainer = ({ keys, redeliveryWindowMs }: FetchedKeys): Buffer => {
  try {
    const messages = keys.map(({ keyId, key }) => ({ key_ID: keyId, key }))
    return encodeKeyContainer(messages, redeliveryExtension(redeliveryWindowMs))
  } finally {
    wipe(...keys.map(({ key }) => key))
  }
}
