import { describe, expect, test } from '@jest/globals'
import { composeHello, judgeHello } from '../../src/links/hello.ts'
import { EMPTY_LANE } from '../../src/model/lane.ts'
import type { Hello } from '../../src/ports/peer.ts'
import type { LinkSnapshot } from '../../src/ports/lane-store.ts'

const NONCE = '0'.repeat(32)
const epochOf = (counter: number, letter = 'e') => ({ counter, id: letter.repeat(32) })

const snapshotOf = (
  end: 'verifier' | 'follower',
  changes: Partial<LinkSnapshot> = {},
): LinkSnapshot => ({
  identity: {
    linkId: 'link',
    kmeId: end === 'verifier' ? 'a' : 'b',
    peerKmeId: end === 'verifier' ? 'b' : 'a',
  },
  end,
  generation: (end === 'verifier' ? 'a' : 'b').repeat(32),
  hadGenerations: false,
  life: 3,
  greeted: false,
  commitCounter: 10,
  epoch: epochOf(1),
  knownOfPeer: null,
  lastBatch: 0,
  closedTold: true,
  openProposal: null,
  lanes: { verifier: EMPTY_LANE, follower: EMPTY_LANE },
  ...changes,
})

const judge = (mine: LinkSnapshot, theirs: LinkSnapshot, changes: Partial<Hello> = {}) =>
  judgeHello({ asked: mine, now: mine, answer: { ...composeHello(theirs, NONCE), ...changes } })

const fresh = { epoch: null, life: 1, commitCounter: 0 }

describe('a hello between two new stores', () => {
  test('lets the verifier make the first epoch', () => {
    expect(judge(snapshotOf('verifier', fresh), snapshotOf('follower', fresh))).toMatchObject({
      kind: 'begin',
      counter: 1,
      epochId: null,
    })
  })

  test('lets the follower wait for it, and take it over', () => {
    const follower = snapshotOf('follower', fresh)
    expect(judge(follower, snapshotOf('verifier', fresh)).kind).toBe('wait')
    expect(judge(follower, snapshotOf('verifier'))).toMatchObject({
      kind: 'begin',
      counter: 1,
      epochId: epochOf(1).id,
    })
  })

  test('lets the verifier wait until the follower has begun the epoch', () => {
    expect(judge(snapshotOf('verifier'), snapshotOf('follower', fresh)).kind).toBe('wait')
  })
})

describe('a hello in one epoch', () => {
  test('is agreed, and what the peer knows as consumed of our lane is adopted', () => {
    const lane = {
      appendedBytes: 100,
      usableBytes: 100,
      consumed: [{ start: 0, end: 32 }],
      granted: [],
    }
    const mine = snapshotOf('verifier', { lanes: { verifier: lane, follower: EMPTY_LANE } })
    const known = { ...lane, consumed: [{ start: 0, end: 64 }] }
    const theirs = snapshotOf('follower', { lanes: { verifier: known, follower: EMPTY_LANE } })
    expect(judge(mine, theirs)).toMatchObject({
      kind: 'agree',
      agreement: { adopt: { verifier: [{ start: 32, end: 64 }] }, closedBatch: null },
    })
  })

  test('adopts in grants use of the peer’s lane, and of our lane only what was not granted', () => {
    const owner = {
      appendedBytes: 10_000,
      usableBytes: 10_000,
      consumed: [{ start: 0, end: 100 }],
      granted: [{ start: 5000, end: 9100 }],
    }
    const grantee = {
      ...owner,
      consumed: [
        { start: 0, end: 200 },
        { start: 5000, end: 5040 },
      ],
      granted: [{ start: 5040, end: 9100 }],
    }
    const lanes = { verifier: owner, follower: EMPTY_LANE }
    expect(
      judge(
        snapshotOf('verifier', { lanes }),
        snapshotOf('follower', { lanes: { ...lanes, verifier: grantee } }),
      ),
    ).toMatchObject({ agreement: { adopt: { verifier: [{ start: 100, end: 200 }] } } })
    const knownByOwner = { ...owner, consumed: [{ start: 4990, end: 6000 }] }
    const adopt = judge(
      snapshotOf('follower', { lanes: { ...lanes, verifier: grantee } }),
      snapshotOf('verifier', { lanes: { ...lanes, verifier: knownByOwner } }),
    )
    expect(adopt).toMatchObject({
      agreement: { adopt: { verifier: [{ start: 5040, end: 6000 }] } },
    })
  })

  test('never adopts use of the lane that the peer owns', () => {
    const theirs = {
      appendedBytes: 64,
      usableBytes: 64,
      consumed: [{ start: 0, end: 64 }],
      granted: [],
    }
    const mine = { ...theirs, consumed: [] }
    const decision = judge(
      snapshotOf('verifier', { lanes: { verifier: EMPTY_LANE, follower: mine } }),
      snapshotOf('follower', { lanes: { verifier: EMPTY_LANE, follower: theirs } }),
    )
    expect(decision).toMatchObject({ kind: 'agree', agreement: { adopt: {} } })
  })

  test('closes for the follower what the verifier has decided, and never for the verifier', () => {
    const follower = snapshotOf('follower', { lastBatch: 4 })
    expect(judge(follower, snapshotOf('verifier', { lastBatch: 3 }))).toMatchObject({
      agreement: { closedBatch: 3 },
    })
    expect(judge(snapshotOf('verifier', { lastBatch: 3 }), follower)).toMatchObject({
      agreement: { closedBatch: null },
    })
  })

  test('is refused where the peer knows use of bytes that were never appended here', () => {
    const beyond = {
      appendedBytes: 64,
      usableBytes: 64,
      consumed: [{ start: 0, end: 64 }],
      granted: [],
    }
    const theirs = snapshotOf('follower', { lanes: { verifier: beyond, follower: EMPTY_LANE } })
    expect(judge(snapshotOf('verifier'), theirs).kind).toBe('refuse')
  })
})

describe('a hello with a store that lost what it said', () => {
  const known = { generation: 'b'.repeat(32), life: 3, commitCounter: 10 }
  const mine = snapshotOf('verifier', { knownOfPeer: known })

  test.each([
    ['another generation', { generation: 'c'.repeat(32) }],
    ['an earlier life', { life: 2 }],
    ['a lower commit counter', { commitCounter: 9 }],
  ])('names the peer as restored: %s', (_, changes) => {
    expect(judge(mine, snapshotOf('follower'), changes)).toMatchObject({
      kind: 'restored',
      who: 'peer',
    })
  })

  test('names this store as restored where the peer knows a later state of it', () => {
    const knownOfYou = { generation: 'a'.repeat(32), life: 9, commitCounter: 10 }
    expect(judge(mine, snapshotOf('follower', { knownOfPeer: knownOfYou }))).toMatchObject({
      kind: 'restored',
      who: 'self',
    })
  })

  test('compares what the peer says of itself with what was known when it was asked', () => {
    // Meanwhile a question of the peer's next life has come: the answer is only old.
    const now = snapshotOf('verifier', { knownOfPeer: { ...known, life: 4 } })
    const answer = composeHello(snapshotOf('follower'), NONCE)
    expect(judgeHello({ asked: mine, now, answer }).kind).toBe('agree')
  })

  test('holds a verifier that meets a later epoch, or another of the same number, for restored', () => {
    for (const epoch of [epochOf(2), epochOf(1, 'f')]) {
      expect(judge(snapshotOf('verifier'), snapshotOf('follower', { epoch }))).toMatchObject({
        kind: 'restored',
        who: 'self',
      })
    }
  })

  test('holds a verifier that has forgotten the epoch of its follower for restored', () => {
    const verifier = snapshotOf('verifier', { epoch: epochOf(1) })
    expect(judge(snapshotOf('follower', { epoch: epochOf(2) }), verifier)).toMatchObject({
      kind: 'restored',
      who: 'peer',
    })
  })
})

describe('a hello with a stranger', () => {
  test.each([
    ['no common version', { versions: [99] }],
    ['another KME', { kmeId: 'z' }],
    ['another link', { linkId: 'other' }],
  ])('is refused: %s', (_, changes) => {
    expect(judge(snapshotOf('verifier'), snapshotOf('follower'), changes).kind).toBe('refuse')
  })
})
