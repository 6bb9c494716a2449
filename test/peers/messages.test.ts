import { describe, expect, test } from '@jest/globals'
import { encode, helloSchema, requestSchema } from '../../src/peers/messages.ts'
import type { PeerMessage, Stamp } from '../../src/ports/peer.ts'

const NAME = 'ab'.repeat(16)
const ref = { deviceId: 'd', streamId: 's', vendorId: 'v/1' }
const sae = { saeId: 'CN=sae-ä,OU=x', registrationId: NAME }
const stamp: Stamp = {
  epoch: { counter: 1, id: NAME },
  senderLife: 1,
  receiverLife: 2,
  commitCounter: 3,
}

const messages: readonly PeerMessage[] = [
  { kind: 'announce', blocks: [{ ref, lengthBytes: 512 }] },
  { kind: 'question', blocks: [{ ref, lengthBytes: 512 }] },
  {
    kind: 'proposal',
    batch: 1,
    pieces: [{ ref, offset: 32, lengthBytes: 480 }],
    tag: Buffer.alloc(16, 1),
  },
  { kind: 'closed', batch: 1 },
  {
    kind: 'confirm',
    deliveryId: Buffer.alloc(16, 2),
    lane: 'verifier',
    offset: 0,
    keyLengthBytes: 32,
    keyCount: 2,
    master: sae,
    slaves: [sae],
    timeToLiveMs: 1_000,
  },
  { kind: 'drop', lane: 'follower', ranges: [{ start: 0, end: 64 }] },
  { kind: 'sae-list', version: 4, saes: [sae] },
  { kind: 'driver', deviceId: 'd', type: 'ids', body: { start: 1, end: 2 } },
]

const request = (list: readonly unknown[], changes: object = {}): unknown =>
  JSON.parse(encode({ nonce: NAME, stamp, messages: list, ...changes }))

describe('the messages between two KMEs', () => {
  test('name as many slaves as a configuration may allow in one request', () => {
    const slaves = Array.from({ length: 65 }, (_, i) => ({ ...sae, saeId: `sae-${i}` }))
    expect(requestSchema.safeParse(request([{ ...messages[4], slaves }])).success).toBe(true)
    const more = [...slaves, { ...sae, saeId: 'sae-65' }]
    expect(requestSchema.safeParse(request([{ ...messages[4], slaves: more }])).success).toBe(false)
  })

  test('come out of the wire as they went in', () => {
    expect(requestSchema.parse(request(messages)).messages).toEqual(messages)
  })

  test.each(messages.map((message) => [message.kind, message] as const))(
    'are refused with a member that this version does not know: %s',
    (_, message) => {
      expect(requestSchema.safeParse(request([{ ...message, more: 1 }])).success).toBe(false)
    },
  )

  test('of an unknown kind are refused', () => {
    expect(requestSchema.safeParse(request([{ kind: 'grant' }])).success).toBe(false)
    expect(requestSchema.safeParse(request([], { extra: true })).success).toBe(false)
  })

  test.each([
    [
      'ranges out of order',
      {
        kind: 'drop',
        lane: 'verifier',
        ranges: [
          [5, 9],
          [0, 2],
        ],
      },
    ],
    ['an empty range', { kind: 'drop', lane: 'verifier', ranges: [[5, 5]] }],
    ['a negative offset', { kind: 'drop', lane: 'verifier', ranges: [[-1, 5]] }],
    ['a fractional length', { kind: 'announce', blocks: [{ ref, lengthBytes: 1.5 }] }],
    [
      'an empty ref',
      { kind: 'announce', blocks: [{ ref: { ...ref, vendorId: '' }, lengthBytes: 1 }] },
    ],
    [
      'a tag of another length',
      { kind: 'proposal', batch: 1, pieces: [{ ref, offset: 0, lengthBytes: 64 }], tag: '00' },
    ],
    ['a key count beyond a delivery', { ...messages[4], keyCount: 4097 }],
    ['a confirm without slaves', { ...messages[4], slaves: [] }],
    ['an unknown lane', { kind: 'drop', lane: 'both', ranges: [] }],
    [
      'an SAE ID that is too long',
      { kind: 'sae-list', version: 1, saes: [{ saeId: 'x'.repeat(292), registrationId: NAME }] },
    ],
  ])('are refused with %s', (_, message) => {
    expect(requestSchema.safeParse(request([message])).success).toBe(false)
  })

  test('carry a hello whole, with its sets of ranges', () => {
    const lane = {
      appendedBytes: 64,
      usableBytes: 32,
      consumed: [{ start: 0, end: 32 }],
      granted: [],
    }
    const hello = {
      nonce: NAME,
      versions: [1],
      kmeId: 'a',
      linkId: 'l',
      generation: NAME,
      life: 1,
      commitCounter: 0,
      restored: true,
      epoch: null,
      epochAfterRestoreOf: 'both',
      lastBatch: 0,
      lanes: { verifier: lane, follower: lane },
      knownOfYou: { generation: null, life: 1, commitCounter: 0 },
    }
    expect(helloSchema.parse(JSON.parse(encode(hello)))).toEqual(hello)
    expect(helloSchema.safeParse({ ...hello, restored: [] }).success).toBe(false)
  })
})
