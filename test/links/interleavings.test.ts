import { describe, expect, test } from '@jest/globals'
import { LINK_ID, agreed, makeLinkPair, restart } from '../helpers/link-pair.ts'
import type { LinkPair, Site } from '../helpers/link-pair.ts'
import { openMemoryStore } from '../../src/stores/memory/memory-store.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import type { IssueRequest } from '../../src/ports/destination.ts'
import { KmeError } from '../../src/errors.ts'
import type { Store } from '../../src/stores/store.ts'
import { emptyLedger } from '../../src/model/ledger.ts'
import { eventually } from '../helpers/eventually.ts'
import { randomBytes } from 'node:crypto'

const requestOf = (from: Site, to: Site, changes: Partial<IssueRequest> = {}): IssueRequest => ({
  master: from.sae,
  localSlaves: [],
  remoteSlaves: [to.sae],
  keyLengthBytes: 32,
  keyCount: 1,
  maxAgeMs: null,
  ...changes,
})

const keysAt = (site: Site): number => site.link.destination.deliverableKeys(32)

const fill = async ({ a, b }: LinkPair, vendorId = '1'): Promise<void> => {
  await eventually(() => a.driver.isOpen && b.driver.isOpen, 'both devices opening')
  const material = randomBytes(8192)
  await a.driver.push({ vendorId, material })
  await b.driver.push({ vendorId, material })
  await eventually(() => keysAt(a) > 0 && keysAt(b) > 0, 'keys at both ends')
}

const unconfirmed = (site: Site): Promise<number> => site.store.countUnconfirmed(LINK_ID)

const lanesOf = async (site: Site) => (await site.store.readLink(LINK_ID)).lanes

/** A store whose calls of one name can be made to wait or to fail. */
const withFault = (
  real: Store,
  fault: (name: string, work: () => Promise<unknown>) => Promise<unknown>,
): Store =>
  new Proxy(real, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target)
      if (typeof member !== 'function') return member
      // Not an operation: it only names who is called back.
      if (name === 'onRestored') return (listener: () => void) => target.onRestored(listener)
      return (...args: readonly unknown[]) =>
        fault(String(name), () => Reflect.apply(member, target, args) as Promise<unknown>)
    },
  })

describe('hello', () => {
  test('brings both ends together that were started anew at the same time, again and again', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    for (let i = 0; i < 5; i += 1) {
      await Promise.all([a.link.stop(), b.link.stop()])
      await Promise.all([a.open(), b.open()])
      a.wire.connect(b.link)
      b.wire.connect(a.link)
      a.link.start()
      b.link.start()
      await agreed(a, b)
      await eventually(() => keysAt(a) > 0 && keysAt(b) > 0)
      await a.link.destination.issue(requestOf(a, b))
      await b.link.destination.issue(requestOf(b, a))
    }
    expect((await a.store.readLink(LINK_ID)).epoch?.counter).toBe(1)
  })

  test('is asked again where the peer began another life between its answer and the session', async () => {
    let hold = Promise.resolve()
    const openStore = async (): Promise<Store> =>
      withFault(openMemoryStore({ random: systemRandom }), async (name, work) => {
        const result = await work()
        if (name === 'listStretches') await hold
        return result
      })
    await using pair = await makeLinkPair({ a: { openStore } })
    const { a, b } = pair
    await fill(pair)
    const held = Promise.withResolvers<undefined>()
    hold = held.promise.then(() => undefined)
    a.wire.breakConnection()
    await eventually(async () => (await a.store.readLink(LINK_ID)).greeted && !keysAt(a))
    const before = (await a.store.readLink(LINK_ID)).knownOfPeer?.life ?? 0
    await restart(b, a)
    await eventually(async () => {
      const { knownOfPeer } = await a.store.readLink(LINK_ID)
      return (knownOfPeer?.life ?? 0) > before
    })
    held.resolve(undefined)
    await agreed(a, b)
    await eventually(() => keysAt(a) > 0)
    await a.link.destination.issue(requestOf(a, b))
    expect((await a.store.readLink(LINK_ID)).greeted).toBe(true)
  })
})

describe('a delivery', () => {
  test('is sent again until the deadline to a peer whose own hello is not done yet', async () => {
    await using pair = await makeLinkPair({ a: { settings: { confirmDeadlineMs: 10_000 } } })
    const { a, b } = pair
    await fill(pair)
    b.wire.faults.cut = true
    b.wire.breakConnection()
    const issuing = a.link.destination.issue(requestOf(a, b))
    await eventually(() => a.wire.sent.filter(({ kind }) => kind === 'confirm').length > 2)
    b.wire.faults.cut = false
    expect((await issuing).material).toHaveLength(32)
  })

  test('burns no more key while the peer is there but can take nothing', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    b.wire.faults.cut = true
    b.wire.breakConnection()
    const first = a.link.destination.issue(requestOf(a, b))
    await expect(first).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    const { consumed } = (await lanesOf(a)).verifier
    for (let i = 0; i < 3; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 300))
      const next = a.link.destination.issue(requestOf(a, b))
      await expect(next).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    }
    expect((await lanesOf(a)).verifier.consumed).toEqual(consumed)
    b.wire.faults.cut = false
    await eventually(async () => (await unconfirmed(a)) === 0 && keysAt(a) > 0)
  })

  test('that is refused after its deadline is not forgotten: its part at the peer ends', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    const late = Promise.withResolvers<undefined>()
    let first = true
    a.wire.faults.pass = async (messages) => {
      if (first && messages.some(({ kind }) => kind === 'confirm')) {
        first = false
        await late.promise
      }
      return true
    }
    const stranger = { saeId: 'sae-b', registrationId: '0'.repeat(32) }
    const issuing = a.link.destination.issue(requestOf(a, b, { remoteSlaves: [stranger] }))
    await expect(issuing).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    late.resolve(undefined)
    await eventually(async () => (await unconfirmed(a)) === 0, 'the refusal')
    await eventually(async () => (await b.store.readLedger(LINK_ID)).bytes.dropped === 32)
  })

  test('of a master that was registered at this start is not refused: the list of SAEs goes first', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    await a.link.stop()
    Object.assign(a.options, { sae: 'sae-new' })
    await a.open()
    a.wire.connect(b.link)
    b.wire.connect(a.link)
    const list = Promise.withResolvers<undefined>()
    a.wire.faults.pass = async (messages) => {
      if (messages.some(({ kind }) => kind === 'sae-list')) await list.promise
      return true
    }
    a.link.start()
    await eventually(() => a.link.waitingFor.includes('list of SAEs'))
    expect(keysAt(a)).toBe(0)
    const early = a.link.destination.issue(requestOf(a, b))
    await expect(early).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    expect(await unconfirmed(a)).toBe(0)
    list.resolve(undefined)
    await eventually(() => keysAt(a) > 0)
    await a.link.destination.issue(requestOf(a, b))
    expect(a.observer.names()).not.toContain('confirm-refused')
  })

  test('whose commit fails ends the life, and what the peer was told of is used at both ends', async () => {
    let full = false
    const openStore = async (): Promise<Store> =>
      withFault(openMemoryStore({ random: systemRandom }), (name, work) =>
        full && name === 'commitDeliveries'
          ? Promise.reject(new KmeError('STORE_FAILED', 'the disk is full'))
          : work(),
      )
    await using pair = await makeLinkPair({ a: { openStore } })
    const { a, b } = pair
    await fill(pair)
    const { life } = a.link.snapshot
    const before = await lanesOf(a)
    full = true
    const calls = Array.from({ length: 5 }, () => a.link.destination.issue(requestOf(a, b)))
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({
        status: 'rejected',
        reason: { code: expect.stringMatching(/^(NOT_READY|PEER_UNAVAILABLE)$/) },
      })
    }
    full = false
    await eventually(() => keysAt(a) > 0)
    expect(a.link.snapshot.life).toBe(life + 1)
    // The peer was told while the commit ran: what it took is used at both ends.
    const after = await lanesOf(a)
    expect(after.follower).toEqual(before.follower)
    expect(after.verifier.consumed).toEqual((await lanesOf(b)).verifier.consumed)
    await a.link.destination.issue(requestOf(a, b))
    await eventually(async () => (await unconfirmed(a)) === 0)
  })

  test('that expires unanswered is dropped at the peer, and so are its neighbours in the lane', async () => {
    await using pair = await makeLinkPair({ a: { settings: { confirmDeadlineMs: 100 } } })
    const { a, b } = pair
    await fill(pair)
    const isConfirm = ({ kind }: { kind: string }): boolean => kind === 'confirm'
    a.wire.faults.pass = (messages) => !messages.some(isConfirm)
    const calls = Array.from({ length: 4 }, () => a.link.destination.issue(requestOf(a, b)))
    for (const call of await Promise.allSettled(calls)) expect(call.status).toBe('rejected')
    const taken = (await lanesOf(a)).verifier.consumed
    await a.store.expireDeliveries({ runningMs: 1e9, wallMs: 0 }, 100)
    a.wire.faults.pass = () => true
    await eventually(async () => (await a.store.listPendingDrops(LINK_ID, 10)).length === 0)
    expect((await lanesOf(b)).verifier.consumed).toEqual(taken)
    // And what else is owed gets there too.
    await fill(pair, '2')
    await eventually(async () => (await a.store.readLink(LINK_ID)).closedTold)
  })

  test('that was committed when the session ended is a 503, and confirmed in the next session', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    a.wire.faults.pass = (messages) => {
      if (!messages.some(({ kind }) => kind === 'confirm')) return true
      a.wire.faults.pass = () => true
      a.wire.breakConnection()
      return false
    }
    const issuing = a.link.destination.issue(requestOf(a, b))
    await expect(issuing).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' })
    await eventually(async () => (await unconfirmed(a)) === 0)
    expect((await lanesOf(b)).verifier.consumed).toEqual((await lanesOf(a)).verifier.consumed)
  })
})

describe('a batch', () => {
  test('is decided once, whichever of its answers are lost and though the follower was started anew', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    const material = randomBytes(8192)
    let lost = 0
    a.wire.faults.pass = (messages) => {
      const isProposal = messages.some(({ kind }) => kind === 'proposal')
      // The answer of the first two is lost.
      a.wire.faults.loseAnswers = isProposal && (lost += 1) <= 2
      return true
    }
    await a.driver.push({ vendorId: '2', material })
    await b.driver.push({ vendorId: '2', material })
    await eventually(() => lost >= 1)
    await restart(b, a)
    await eventually(async () => (await a.store.readLink(LINK_ID)).lastBatch === 2)
    a.wire.faults.loseAnswers = false
    await eventually(async () => (await lanesOf(b)).follower.usableBytes > 8000)
    expect(await lanesOf(a)).toEqual(await lanesOf(b))
  })

  test('is searched for the block that differs though every second answer is lost', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await eventually(() => a.driver.isOpen && b.driver.isOpen)
    let count = 0
    a.wire.faults.pass = () => {
      count += 1
      a.wire.faults.loseAnswers = count % 2 === 0
      return true
    }
    const blocks = Array.from({ length: 32 }, (_, i) => ({
      vendorId: String(i),
      material: randomBytes(256),
    }))
    const flipped = blocks.map(({ vendorId, material }, i) => {
      const copy = Buffer.from(material)
      if (i === 21) copy[200] = (copy[200] ?? 0) ^ 1
      return { vendorId, material: copy }
    })
    await a.driver.push(...blocks)
    await b.driver.push(...flipped)
    await eventually(async () => {
      const { bytes } = await a.store.readLedger(LINK_ID)
      return bytes.quarantined > 0 && bytes.unverified === 0
    })
    a.wire.faults.pass = () => true
    a.wire.faults.loseAnswers = false
    const state = await lanesOf(a)
    expect(await lanesOf(b)).toMatchObject({
      verifier: { appendedBytes: state.verifier.appendedBytes },
      follower: { appendedBytes: state.follower.appendedBytes },
    })
    expect((await b.store.readLedger(LINK_ID)).bytes.quarantined).toBeLessThanOrEqual(256)
  })
})

describe('a link', () => {
  test('that is stopped while the peer hangs stops at once, and opens no device again', async () => {
    const pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    await a.link.stop()
    await b.link.stop()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([a.driver.isOpen, b.driver.isOpen]).toEqual([false, false])
    await Promise.all([a.store.close(), b.store.close()])
  })

  test('does not send without rest what the peer answers as no peer should', async () => {
    await using pair = await makeLinkPair()
    const { a, b } = pair
    await fill(pair)
    const real = b.link
    let asked = 0
    a.wire.connect({
      linkId: LINK_ID,
      hello: (question) => real.hello(question),
      receive: async (_, messages) => {
        asked += 1
        return messages.map(() => ({ result: 'refused', reason: 'no' }) as const)
      },
    })
    await a.driver.push({ vendorId: '2', material: randomBytes(512) })
    await eventually(() => a.observer.names().includes('peer-protocol'))
    const before = asked
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(asked - before).toBeLessThan(5)
    a.wire.connect(real)
  })
})

describe('the books of a link', () => {
  test('are checked while it runs: a difference is an alarm', async () => {
    const openStore = async (): Promise<Store> =>
      withFault(openMemoryStore({ random: systemRandom }), (name, work) =>
        name === 'readLedger' ? Promise.resolve({ ...emptyLedger(), receivedBytes: 5 }) : work(),
      )
    await using pair = await makeLinkPair({ a: { openStore } })
    await eventually(() => pair.a.observer.names().includes('ledger-unbalanced'))
    expect(pair.b.observer.names()).not.toContain('ledger-unbalanced')
  })
})
