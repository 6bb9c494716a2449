import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { LINK_ID, agreed, makeLinkPair, type LinkPair, type Site } from '../helpers/link-pair.ts'
import { eventually } from '../helpers/eventually.ts'
import { ledgerDifference } from '../../src/model/ledger.ts'
import type { ConfirmMessage, PeerMessage, Stamp } from '../../src/ports/peer.ts'

const KEY_BYTES = 32
const LONG_MS = 20_000

const keysAt = (site: Site): number => site.link.destination.deliverableKeys(KEY_BYTES)

const fill = async ({ a, b }: LinkPair, vendorId: string): Promise<Buffer> => {
  await eventually(() => a.driver.isOpen && b.driver.isOpen, 'both devices opening')
  const material = randomBytes(8192)
  await a.driver.push({ vendorId, material })
  await b.driver.push({ vendorId, material })
  await eventually(() => keysAt(a) > 0 && keysAt(b) > 0, 'keys at both ends')
  return material
}

const issue = (from: Site, to: Site) =>
  from.link.destination.issue({
    master: from.sae,
    localSlaves: [],
    remoteSlaves: [to.sae],
    keyLengthBytes: KEY_BYTES,
    keyCount: 1,
    maxAgeMs: null,
  })

/** That end was put back: the link begins its next epoch. */
const endEpoch = async ({ a, b }: LinkPair, restored: Site): Promise<void> => {
  const { counter } = (await a.store.readLink(LINK_ID)).epoch ?? { counter: 0 }
  const { generation } = await restored.store.readStanding()
  await restored.store.becomeRestored(generation, { runningMs: 1, wallMs: 0 })
  for (const { store } of [a, b]) {
    await eventually(
      async () => (await store.readLink(LINK_ID)).epoch?.counter === counter + 1,
      'the next epoch',
    )
  }
  await agreed(a, b)
}

const isConfirm = (message: PeerMessage): message is ConfirmMessage => message.kind === 'confirm'

describe('an epoch that ends', () => {
  test.each(['a', 'b'] as const)(
    'while a caller waits for a confirm: it is refused, whichever end was restored (%s), and nobody holds its key',
    async (restored) => {
      const settings = { confirmDeadlineMs: LONG_MS }
      await using pair = await makeLinkPair({ a: { settings }, b: { settings } })
      const { a, b } = pair
      const former = await fill(pair, '1')
      let release = (): void => undefined
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      let confirm: ConfirmMessage | undefined
      a.wire.faults.pass = async (messages) => {
        confirm ??= messages.find(isConfirm)
        if (messages.some(isConfirm)) await held
        return true
      }
      const waiting = issue(a, b)
      waiting.catch(() => undefined)
      await eventually(() => confirm !== undefined, 'the confirm')
      await endEpoch(pair, pair[restored])
      release()
      await expect(waiting).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })

      // The late confirm of the former epoch has changed nothing.
      const deliveryId = confirm?.deliveryId ?? Buffer.alloc(0)
      expect(await b.store.listUnknown([deliveryId])).toHaveLength(1)
      await eventually(async () => (await a.store.countUnconfirmed(LINK_ID)) === 0)
      await fill(pair, '2')
      const { material } = await issue(a, b)
      expect(former.includes(material)).toBe(false)
      for (const { store } of [a, b]) {
        const { counters } = await store.recountLedger(LINK_ID)
        expect(ledgerDifference(counters)).toBe(0)
      }
      expect(a.observer.names()).not.toContain('range-conflict')
    },
  )

  test('leaves messages of it without effect, whatever they say', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair, '1')
    const sent: { stamp: Stamp; messages: readonly PeerMessage[] }[] = []
    const send = a.wire.send.bind(a.wire)
    a.wire.send = (stamp, messages) => {
      sent.push({ stamp, messages })
      return send(stamp, messages)
    }
    await issue(a, b)
    await eventually(() => sent.some(({ messages }) => messages.some(isConfirm)))
    const { stamp } = sent.find(({ messages }) => messages.some(isConfirm)) ?? {}
    if (!stamp) throw new TypeError('a confirm')
    await endEpoch(pair, b)
    await fill(pair, '2')

    const ref = { deviceId: 'device-1', streamId: 's', vendorId: 'late' }
    const range = { start: 0, end: 4096 }
    const { saeId, registrationId } = a.sae
    const late: readonly PeerMessage[] = [
      { kind: 'announce', blocks: [{ ref, lengthBytes: 64 }] },
      { kind: 'question', blocks: [{ ref, lengthBytes: 64 }] },
      {
        kind: 'proposal',
        batch: 2,
        pieces: [{ ref, offset: 0, lengthBytes: 64 }],
        tag: randomBytes(16),
      },
      { kind: 'closed', batch: 1 },
      {
        kind: 'confirm',
        deliveryId: randomBytes(16),
        lane: 'verifier',
        offset: 0,
        keyLengthBytes: KEY_BYTES,
        keyCount: 1,
        master: a.sae,
        slaves: [b.sae],
        timeToLiveMs: 60_000,
      },
      { kind: 'drop', lane: 'verifier', ranges: [range] },
      { kind: 'grant', lane: 'verifier', ranges: [range] },
      { kind: 'want', lengthBytes: 4096 },
      { kind: 'deliveries', deliveryIds: [randomBytes(16)], sae: { saeId, registrationId } },
      { kind: 'sae-list', version: 1_000, saes: [] },
    ]
    const stateOf = async () => {
      const { lanes, lastBatch, epoch } = await b.store.readLink(LINK_ID)
      const { saes } = (await b.store.readPeerSaes(LINK_ID)) ?? {}
      return { lanes, lastBatch, epoch, saes, ledger: (await b.store.readLedger(LINK_ID)).bytes }
    }
    const before = await stateOf()
    // Lives of now: the epoch alone is another.
    const present = { senderLife: 0, receiverLife: 0 }
    a.wire.send = (now, messages) => {
      present.senderLife = now.senderLife
      present.receiverLife = now.receiverLife
      return send(now, messages)
    }
    await issue(a, b)
    const after = await stateOf()
    expect(after.epoch).toEqual(before.epoch)
    for (const message of late) {
      for (const lives of [{}, present]) {
        const [answer] = await b.link.receive({ ...stamp, ...lives }, [message])
        // A wish is of the moment: it is not applied, and would be repeated if it still held.
        const expected = message.kind === 'want' ? 'retry' : 'stale'
        expect([message.kind, answer?.result]).toEqual([message.kind, expected])
      }
    }
    expect(await stateOf()).toEqual(after)
  })
})
