import { describe, expect, test } from '@jest/globals'
import { LINK_ID, agreed, makeLinkPair, restart } from '../helpers/link-pair.ts'
import type { LinkPair, Site } from '../helpers/link-pair.ts'
import type { IssueRequest, IssuedKeys } from '../../src/ports/destination.ts'
import { eventually } from '../helpers/eventually.ts'
import { keyIdOf, splitKeyId } from '../../src/model/key-id.ts'
import { ledgerDifference } from '../../src/model/ledger.ts'
import { randomBytes } from 'node:crypto'

const KEY_BYTES = 32

const requestOf = (from: Site, to: Site, changes: Partial<IssueRequest> = {}): IssueRequest => ({
  master: from.sae,
  localSlaves: [],
  remoteSlaves: [to.sae],
  keyLengthBytes: KEY_BYTES,
  keyCount: 1,
  maxAgeMs: null,
  ...changes,
})

/** The same block at both ends. */
const pushBoth = async ({ a, b }: LinkPair, vendorId: string, material = randomBytes(8192)) => {
  await eventually(() => a.driver.isOpen && b.driver.isOpen, 'both devices opening')
  await a.driver.push({ vendorId, material })
  await b.driver.push({ vendorId, material })
  return material
}

const keysAt = (site: Site): number => site.link.destination.deliverableKeys(KEY_BYTES)

const waitForKeys = (pair: LinkPair, least = 1) =>
  eventually(() => keysAt(pair.a) >= least && keysAt(pair.b) >= least, 'keys at both ends')

const fetchAt = async (from: Site, to: Site, issued: IssuedKeys, index = 0) =>
  to.store.fetchKeys(
    {
      sae: to.sae,
      masterSaeId: from.sae.saeId,
      keys: [splitKeyId(keyIdOf(issued.deliveryId, index))],
    },
    { runningMs: 10, wallMs: 0 },
  )

const expectBalance = async ({ a, b }: LinkPair): Promise<void> => {
  for (const { store } of [a, b]) {
    const { counters, rows } = await store.recountLedger(LINK_ID)
    expect(ledgerDifference(counters)).toBe(0)
    const { unverified, ownLane, otherLane, granted, held } = counters.bytes
    expect({ unverified, ownLane, otherLane, granted, held }).toEqual(rows)
  }
}

describe('a link between two KMEs', () => {
  test('greets, verifies blocks and delivers the same key at both ends, in both directions', async () => {
    await using pair = await makeLinkPair()
    await pushBoth(pair, '1')
    await waitForKeys(pair)
    for (const [from, to] of [[pair.a, pair.b] as const, [pair.b, pair.a] as const]) {
      const issued = await from.link.destination.issue(requestOf(from, to))
      const fetched = await fetchAt(from, to, issued)
      expect(fetched).toMatchObject({ outcome: 'fetched' })
      if (fetched.outcome === 'fetched') {
        expect(issued.material.equals(fetched.keys[0] ?? Buffer.alloc(0))).toBe(true)
      }
      expect(await fetchAt(from, to, issued)).toEqual({ outcome: 'not-found' })
    }
    await expectBalance(pair)
  })

  test('never delivers a byte twice, over many keys of mixed sizes in both directions at once', async () => {
    await using pair = await makeLinkPair()
    const material = await pushBoth(pair, '1', randomBytes(65_536))
    await waitForKeys(pair, 900)
    const seen = new Set<string>()
    const draw = async (from: Site, to: Site) => {
      for (let i = 0; i < 100; i += 1) {
        const keyLengthBytes = 8 * (1 + (i % 16))
        const issued = await from.link.destination.issue(requestOf(from, to, { keyLengthBytes }))
        for (let at = 0; at < keyLengthBytes; at += 8) {
          const window = issued.material.subarray(at, at + 8)
          expect(material.includes(window)).toBe(true)
          expect(seen.has(window.toString('hex'))).toBe(false)
          seen.add(window.toString('hex'))
        }
      }
    }
    await Promise.all([draw(pair.a, pair.b), draw(pair.b, pair.a)])
    await expectBalance(pair)
  })

  test('goes on after either end was started anew, and repeats nothing', async () => {
    await using pair = await makeLinkPair()
    await pushBoth(pair, '1')
    await waitForKeys(pair)
    const first = await pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    await restart(pair.b, pair.a)
    await agreed(pair.a, pair.b)
    await restart(pair.a, pair.b)
    await agreed(pair.a, pair.b)
    const second = await pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    expect(first.material.equals(second.material)).toBe(false)
    expect(await fetchAt(pair.a, pair.b, first)).toMatchObject({ outcome: 'fetched' })
    expect(await fetchAt(pair.a, pair.b, second)).toMatchObject({ outcome: 'fetched' })
    expect(pair.a.link.snapshot.epoch).toEqual(pair.b.link.snapshot.epoch)
    await expectBalance(pair)
  })

  test('refuses before anything is allocated while the lane is short', async () => {
    await using pair = await makeLinkPair()
    const refused = pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    await expect(refused).rejects.toMatchObject({ code: 'KEYS_EXHAUSTED' })
    await expectBalance(pair)
  })

  test('refuses before anything is allocated while there is no hello', async () => {
    await using pair = await makeLinkPair()
    await pushBoth(pair, '1')
    await waitForKeys(pair)
    pair.a.wire.faults.cut = true
    pair.a.wire.breakConnection()
    await eventually(() => pair.a.link.waitingFor !== '')
    const before = (await pair.a.store.readLedger(LINK_ID)).bytes.ownLane
    const refused = pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    await expect(refused).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    expect((await pair.a.store.readLedger(LINK_ID)).bytes.ownLane).toBe(before)
    expect(keysAt(pair.a)).toBe(0)
    pair.a.wire.faults.cut = false
    await agreed(pair.a, pair.b)
    expect(keysAt(pair.a)).toBeGreaterThan(0)
  })

  test('burns the key of a call whose peer falls silent, and confirms it until answered', async () => {
    await using pair = await makeLinkPair()
    const material = await pushBoth(pair, '1')
    await waitForKeys(pair)
    pair.a.wire.faults.pass = () => false
    const silent = pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    await expect(silent).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    expect(await pair.a.store.listUnconfirmed(LINK_ID, 10)).toHaveLength(1)
    // Known to be down: refused at once, and nothing more is consumed.
    const next = pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    await expect(next).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    expect(await pair.a.store.listUnconfirmed(LINK_ID, 10)).toHaveLength(1)

    pair.a.wire.faults.pass = () => true
    await eventually(async () => (await pair.a.store.listUnconfirmed(LINK_ID, 10)).length === 0)
    await eventually(() => keysAt(pair.a) > 0)
    const later = await pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    // The burned range was the first of the lane: what comes now lies behind it.
    expect(material.indexOf(later.material)).not.toBe(32)
    await expectBalance(pair)
  })

  test('asks a silent peer for one small thing at a time, again where that is lost, and tells it the rest when it is heard', async () => {
    await using pair = await makeLinkPair()
    await pushBoth(pair, '1')
    await waitForKeys(pair)
    const { a, b } = pair
    const asked: string[] = []
    const giveUp: (() => void)[] = []
    a.wire.faults.pass = (messages) => {
      asked.push(messages.map(({ kind }) => kind).join())
      return new Promise((resolve) => {
        giveUp.push(() => {
          resolve(false)
        })
      })
    }
    const silent = a.link.destination.issue(requestOf(a, b))
    await expect(silent).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    asked.splice(0)
    await eventually(() => asked.length >= 2, 'two questions that nobody answers')
    expect(new Set(asked)).toEqual(new Set(['sae-list']))
    a.wire.faults.pass = () => true
    for (const one of giveUp) one()
    await eventually(async () => (await a.store.listUnconfirmed(LINK_ID, 10)).length === 0)
    await eventually(() => keysAt(a) > 0)
  })

  test('applies a confirm once, however often it comes and whatever answers are lost', async () => {
    await using pair = await makeLinkPair()
    await pushBoth(pair, '1')
    await waitForKeys(pair)
    pair.a.wire.faults.twice = true
    const issued = await pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    expect(await fetchAt(pair.a, pair.b, issued)).toMatchObject({ outcome: 'fetched' })
    pair.a.wire.faults.loseAnswers = true
    const lost = pair.a.link.destination.issue(requestOf(pair.a, pair.b))
    await expect(lost).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    pair.a.wire.faults.loseAnswers = false
    await eventually(async () => (await pair.a.store.listUnconfirmed(LINK_ID, 10)).length === 0)
    await expectBalance(pair)
  })

  test('drops at the peer what the peer refused for a slave that it does not know', async () => {
    await using pair = await makeLinkPair()
    await pushBoth(pair, '1')
    await waitForKeys(pair)
    const stranger = { saeId: 'sae-b', registrationId: '0'.repeat(32) }
    const refused = pair.a.link.destination.issue(
      requestOf(pair.a, pair.b, { remoteSlaves: [stranger] }),
    )
    await expect(refused).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    expect(pair.a.observer.names()).toContain('confirm-refused')
    await eventually(async () => (await pair.b.store.readLedger(LINK_ID)).bytes.dropped === 32)
    expect((await pair.a.store.readLedger(LINK_ID)).bytes.dropped).toBe(32)
    await expectBalance(pair)
  })
})

describe('blocks of a link', () => {
  test('that differ in one bit past their first 64 bytes are found among many, and only they are quarantined', async () => {
    await using pair = await makeLinkPair()
    await eventually(() => pair.a.driver.isOpen && pair.b.driver.isOpen)
    const blocks = Array.from({ length: 1000 }, (_, i) => ({
      vendorId: String(i),
      material: randomBytes(128),
    }))
    const twisted = blocks.map(({ vendorId, material }, i) => {
      const copy = Buffer.from(material)
      if (i === 517) copy[100] = (copy[100] ?? 0) ^ 4
      return { vendorId, material: copy }
    })
    await pair.a.driver.push(...blocks)
    await pair.b.driver.push(...twisted)
    await eventually(async () => {
      const { bytes } = await pair.a.store.readLedger(LINK_ID)
      return bytes.quarantined > 0 && bytes.unverified === 0
    }, 'the search for the block that differs')
    for (const { store } of [pair.a, pair.b]) {
      const { bytes } = await store.readLedger(LINK_ID)
      expect(bytes.quarantined).toBeLessThanOrEqual(128)
    }
    // Each end also says that this test's key is not from hardware.
    expect(pair.a.observer.names()).toEqual(['simulated-keys', 'blocks-differ'])
    expect(pair.b.observer.names()).toEqual(['simulated-keys', 'blocks-differ'])
    const bad = blocks[517]?.material ?? Buffer.alloc(0)
    const from = (site: Site) => (site === pair.a ? pair.b : pair.a)
    await waitForKeys(pair)
    for (const site of [pair.a, pair.b]) {
      while (keysAt(site) > 0) {
        // One by one: the last of them may not lie side by side.
        const issued = await site.link.destination.issue(requestOf(site, from(site)))
        for (let at = 0; at + 8 <= issued.material.length; at += 8) {
          expect(bad.includes(issued.material.subarray(at, at + 8))).toBe(false)
        }
      }
    }
    await expectBalance(pair)
  })

  test('that one end never got are dropped at the other after the settle time, and counted as gaps', async () => {
    await using pair = await makeLinkPair()
    await pushBoth(pair, '1')
    await pair.a.driver.push({ vendorId: 'lost', material: randomBytes(512) })
    await eventually(async () => (await pair.a.store.readLedger(LINK_ID)).bytes.dropped === 512)
    const ledger = await pair.b.store.readLedger(LINK_ID)
    expect({ blocks: ledger.gapBlocks, bytes: ledger.gapBytes }).toEqual({ blocks: 1, bytes: 512 })
    expect(pair.a.driver.discarded.map(({ vendorId }) => vendorId)).toEqual(['lost'])
    // Should it come after all, it is not wanted any more.
    expect(await pair.b.driver.push({ vendorId: 'lost', material: randomBytes(512) })).toEqual([
      'refused',
    ])
    await expectBalance(pair)
  })

  test('that the verifier quarantined after both ends had announced them are dropped at the follower too', async () => {
    await using pair = await makeLinkPair()
    await eventually(() => pair.a.driver.isOpen && pair.b.driver.isOpen)
    // Too few bytes for a batch: they stay matched and unverified.
    const material = randomBytes(100)
    await pair.a.driver.push({ vendorId: 'again', material })
    await pair.b.driver.push({ vendorId: 'again', material })
    for (const { wire } of [pair.a, pair.b]) {
      await eventually(() => wire.sent.some(({ kind }) => kind === 'announce'))
    }
    const reused = await pair.a.driver.push({ vendorId: 'again', material: randomBytes(100) })
    expect(reused).toEqual(['quarantined'])
    await eventually(async () => {
      const { bytes } = await pair.b.store.readLedger(LINK_ID)
      return bytes.dropped === 100 && bytes.unverified === 0
    }, 'the drop at the follower')
    await expectBalance(pair)
  })

  test('that come later at one end than at the other are waited for', async () => {
    await using pair = await makeLinkPair({ a: { device: { settleMs: 60_000 } } })
    await eventually(() => pair.a.driver.isOpen && pair.b.driver.isOpen)
    const material = randomBytes(4096)
    await pair.a.driver.push({ vendorId: '1', material })
    await eventually(() => pair.a.wire.sent.some(({ kind }) => kind === 'announce'))
    expect(keysAt(pair.a)).toBe(0)
    await pair.b.driver.push({ vendorId: '1', material })
    await waitForKeys(pair)
    await expectBalance(pair)
  })

  test('that are offered twice are harmless; with other bytes they are quarantined with an alarm', async () => {
    await using pair = await makeLinkPair()
    await eventually(() => pair.a.driver.isOpen && pair.b.driver.isOpen)
    const material = randomBytes(1024)
    expect(await pair.a.driver.push({ vendorId: '1', material })).toEqual(['stored'])
    expect(await pair.a.driver.push({ vendorId: '1', material })).toEqual(['duplicate'])
    expect(await pair.a.driver.push({ vendorId: '1', material: randomBytes(1024) })).toEqual([
      'quarantined',
    ])
    expect(pair.a.observer.names()).toContain('ref-reused')
    await expectBalance(pair)
  })

  test('that are biased are quarantined before anything else, and three in a row stop the device', async () => {
    await using pair = await makeLinkPair()
    await eventually(() => pair.a.driver.isOpen)
    for (const vendorId of ['1', '2', '3']) {
      const zeros = { vendorId, material: Buffer.alloc(4096) }
      expect(await pair.a.driver.push(zeros)).toEqual(['quarantined'])
    }
    expect(pair.a.observer.names()).toContain('device-stopped')
    expect(pair.a.link.devices[0]?.status()).toMatchObject({ state: 'failed' })
    await expectBalance(pair)
  })
})
