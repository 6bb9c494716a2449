import { z } from 'zod'
import { LANE_NAMES } from '../model/lane.ts'
import { MAX_KEYS_PER_DELIVERY } from '../model/key-id.ts'
import { MAX_SAE_ID_CHARACTERS, characterCount } from '../model/ids.ts'
import { MAX_BLOCK_BYTES, MAX_REF_TEXT } from '../model/block.ts'
import { isRangeSet } from '../model/range.ts'
import type { RangeSet } from '../model/range.ts'

/**
 * Version 1 of the protocol between two KMEs, as JSON: what the messages of ports/peer.ts look like
 * on the wire. Strict: a kind or member that this version does not know is refused, never half
 * understood. Every number, text and list is bounded. Bytes are hex; ranges are [start, end].
 */
const MOST_TEXT = 1024
const MOST_RANGES = 4096
const MOST_BLOCKS = 1024
const MOST_SAES = 10_000
const MOST_DELIVERIES = 256
/** The slave in the path and as many additional ones as a configuration may allow. */
const MOST_SLAVES = 1 + 64
const MOST_KEY_BYTES = 64 * 1024
const MOST_DRIVER_BYTES = 16 * 1024

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
const positive = z.int().min(1).max(Number.MAX_SAFE_INTEGER)
const text = z.string().min(1).max(MOST_TEXT)
const name128 = z.string().regex(/^[0-9a-f]{32}$/)
const bytes = (length: number) =>
  z
    .string()
    .length(length * 2)
    .regex(/^[0-9a-f]*$/)
    .transform((hex) => Buffer.from(hex, 'hex'))

const range = z.tuple([count, count]).transform(([start, end]) => ({ start, end }))
const ranges = z
  .array(range)
  .max(MOST_RANGES)
  .refine((set): boolean => isRangeSet(set), 'not a set of ranges')
  .transform((set): RangeSet => set)

const saeId = z
  .string()
  .min(1)
  .refine((id) => characterCount(id) <= MAX_SAE_ID_CHARACTERS, 'too long')
const sae = z.strictObject({ saeId, registrationId: name128 })
const refText = z.string().min(1).max(MAX_REF_TEXT)
const ref = z.strictObject({ deviceId: text, streamId: refText, vendorId: refText })
const lengthBytes = z.int().min(1).max(MAX_BLOCK_BYTES)
const block = z.strictObject({ ref, lengthBytes })
const blocks = z.array(block).max(MOST_BLOCKS)
const piece = z.strictObject({ ref, offset: count, lengthBytes })
const epoch = z.strictObject({ counter: positive, id: name128 })
const laneName = z.enum(LANE_NAMES as ['verifier', 'follower'])
const lane = z.strictObject({
  appendedBytes: count,
  usableBytes: count,
  consumed: ranges,
  granted: ranges,
})
const knownOfPeer = z.strictObject({
  generation: name128.nullable(),
  life: count,
  commitCounter: count,
})

export const helloSchema = z.strictObject({
  nonce: name128,
  versions: z.array(positive).min(1).max(64),
  kmeId: text,
  linkId: text,
  generation: name128,
  life: positive,
  commitCounter: count,
  restored: z.boolean(),
  epoch: epoch.nullable(),
  epochAfterRestoreOf: z.enum(['verifier', 'follower', 'both']).nullable(),
  lastBatch: count,
  lanes: z.strictObject({ verifier: lane, follower: lane }),
  knownOfYou: knownOfPeer.nullable(),
})

const driverValue = z.union([z.string().max(4096), z.number(), z.boolean(), z.null()])
const driverBody = z
  .record(z.string().max(64), driverValue)
  .refine((body) => JSON.stringify(body).length <= MOST_DRIVER_BYTES, 'too large')

const confirm = z.strictObject({
  kind: z.literal('confirm'),
  deliveryId: bytes(16),
  lane: laneName,
  offset: count,
  keyLengthBytes: z.int().min(1).max(MOST_KEY_BYTES),
  keyCount: z.int().min(1).max(MAX_KEYS_PER_DELIVERY),
  master: sae,
  slaves: z.array(sae).min(1).max(MOST_SLAVES),
  timeToLiveMs: positive,
})

const messageSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('announce'), blocks }),
  z.strictObject({ kind: z.literal('question'), blocks }),
  z.strictObject({
    kind: z.literal('proposal'),
    batch: positive,
    pieces: z.array(piece).min(1).max(MOST_BLOCKS),
    tag: bytes(16),
  }),
  z.strictObject({ kind: z.literal('closed'), batch: positive }),
  confirm,
  z.strictObject({ kind: z.literal('drop'), lane: laneName, ranges }),
  z.strictObject({ kind: z.literal('grant'), lane: laneName, ranges }),
  z.strictObject({ kind: z.literal('want'), lengthBytes: positive }),
  z.strictObject({
    kind: z.literal('deliveries'),
    deliveryIds: z.array(bytes(16)).min(1).max(MOST_DELIVERIES),
    sae,
  }),
  z.strictObject({
    kind: z.literal('sae-list'),
    version: count,
    saes: z.array(sae).max(MOST_SAES),
  }),
  z.strictObject({
    kind: z.literal('driver'),
    deviceId: text,
    type: z.string().min(1).max(64),
    body: driverBody,
  }),
])

/** A request: the messages under one stamp. The nonce comes back in the response. */
export const requestSchema = z.strictObject({
  nonce: name128,
  stamp: z.strictObject({
    epoch,
    senderLife: positive,
    receiverLife: positive,
    commitCounter: count,
  }),
  messages: z.array(messageSchema).max(512),
})

const verdict = z.discriminatedUnion('outcome', [
  z.strictObject({ outcome: z.literal('equal') }),
  z.strictObject({ outcome: z.literal('unequal') }),
  z.strictObject({ outcome: z.literal('lacking'), missing: z.array(ref).min(1).max(MOST_BLOCKS) }),
])

const answerSchema = z.discriminatedUnion('result', [
  z.strictObject({ result: z.literal('done') }),
  z.strictObject({ result: z.literal('retry') }),
  z.strictObject({ result: z.literal('stale') }),
  z.strictObject({ result: z.literal('refused'), reason: z.string().max(MOST_TEXT) }),
  z.strictObject({ result: z.literal('announced'), conflicting: z.array(ref).max(MOST_BLOCKS) }),
  z.strictObject({
    result: z.literal('whereabouts'),
    blocks: z.array(z.enum(['have', 'on-its-way', 'gone'])).max(MOST_BLOCKS),
  }),
  z.strictObject({
    result: z.literal('deliveries'),
    confirms: z.array(confirm).max(MOST_DELIVERIES),
  }),
  z.strictObject({ result: z.literal('verdict'), verdict }),
])

/** A response names who answers and to what: one that was meant for another is never taken. */
export const responseSchema = z.strictObject({
  nonce: name128,
  kmeId: text,
  answers: z.array(answerSchema).max(512),
})

/** What a request is refused with as a whole, before any message of it is looked at. */
export const refusalSchema = z.strictObject({ message: z.string().max(MOST_TEXT) })

/** Members that hold sets of ranges. */
const RANGE_MEMBERS: ReadonlySet<string> = new Set(['consumed', 'granted', 'ranges'])

/** JSON of a message: Buffers as hex, ranges as pairs. */
export const encode = (value: unknown): string =>
  JSON.stringify(value, function (this: unknown, key, plain: unknown) {
    // JSON.stringify has called toJSON of a Buffer already; the holder still has the Buffer itself.
    const original = (this as Record<string, unknown>)[key]
    if (Buffer.isBuffer(original)) return original.toString('hex')
    if (!RANGE_MEMBERS.has(key) || !Array.isArray(original)) return plain
    return (original as RangeSet).map(({ start, end }) => [start, end])
  })
