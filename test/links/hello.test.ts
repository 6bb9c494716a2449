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
  restored: false,
  epochAfterRestoreOf: null,
  epochAgreed: false,
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

const BATCH_4 = { batch: 4, pieces: [], tag: Buffer.alloc(16) }

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
    const verifier = snapshotOf('verifier', { lastBatch: 3, openProposal: BATCH_4 })
    expect(judge(verifier, follower)).toMatchObject({ agreement: { closedBatch: null } })
  })
})

const KNOWN = { generation: 'b'.repeat(32), life: 3, commitCounter: 10 }
const KNOWN_OF_A = { generation: 'a'.repeat(32), life: 3, commitCounter: 10 }

describe('a store that was restored, as its peer tells it', () => {
  const mine = snapshotOf('verifier')

  test.each([
    ['another generation', { generation: 'c'.repeat(32) }],
    ['a later life', { life: 4 }],
    ['a higher commit counter', { commitCounter: 11 }],
  ])('finds it itself where the peer knows %s of it', (_, changes) => {
    const theirs = snapshotOf('follower', { knownOfPeer: { ...KNOWN_OF_A, ...changes } })
    expect(judge(mine, theirs).kind).toBe('self-restored')
    expect(
      judge(
        snapshotOf('follower'),
        snapshotOf('verifier', { knownOfPeer: { ...KNOWN, ...changes } }),
      ).kind,
    ).toBe('self-restored')
  })

  test('does not find it again for what the peer knows of its former generation', () => {
    const now = snapshotOf('verifier', { restored: true })
    const theirs = snapshotOf('follower', {
      knownOfPeer: { ...KNOWN_OF_A, generation: 'c'.repeat(32), life: 9 },
    })
    expect(judge(now, theirs).kind).toBe('begin')
    // Also once it has begun the epoch, and until that has reached the follower.
    const begun = snapshotOf('verifier', { epoch: epochOf(2), epochAfterRestoreOf: 'verifier' })
    expect(judge(begun, theirs).kind).toBe('wait')
  })

  test('does not find it again for what the peer knows of a generation that it left open', () => {
    const open = { generation: null, life: 9, commitCounter: 99 }
    const theirs = snapshotOf('follower', { knownOfPeer: open })
    expect(judge(snapshotOf('verifier', { restored: true }), theirs).kind).toBe('begin')
    const begun = snapshotOf('verifier', { epoch: epochOf(2), epochAfterRestoreOf: 'verifier' })
    expect(judge(begun, theirs).kind).toBe('wait')
    const verifier = snapshotOf('verifier', { knownOfPeer: open })
    expect(judge(snapshotOf('follower', { restored: true }), verifier).kind).toBe('wait')
  })

  test('finds that it was restored once more, before an epoch had begun', () => {
    const now = snapshotOf('verifier', { restored: true })
    const theirs = snapshotOf('follower', { knownOfPeer: { ...KNOWN_OF_A, life: 9 } })
    expect(judge(now, theirs).kind).toBe('self-restored')
  })

  test('is not judged by a generation that the peer leaves open', () => {
    const open = { ...KNOWN_OF_A, generation: null }
    expect(judge(mine, snapshotOf('follower', { knownOfPeer: open })).kind).toBe('agree')
    const later = snapshotOf('follower', { knownOfPeer: { ...open, life: 9 } })
    expect(judge(mine, later).kind).toBe('self-restored')
  })

  test('finds it itself where the peer has decided a batch that it does not know', () => {
    const verifier = snapshotOf('verifier', { lastBatch: 3 })
    const follower = snapshotOf('follower', { lastBatch: 4 })
    expect(judge(verifier, follower).kind).toBe('self-restored')
    // What is open here, the follower may have decided.
    expect(judge({ ...verifier, openProposal: BATCH_4 }, follower).kind).toBe('agree')
    const late = snapshotOf('follower', { lastBatch: 2 })
    expect(judge(late, verifier).kind).toBe('self-restored')
    // In another epoch the numbers begin anew.
    const next = snapshotOf('verifier', { lastBatch: 3, epoch: epochOf(2) })
    expect(judge(next, snapshotOf('follower', { lastBatch: 9 })).kind).toBe('wait')
  })

  test('finds it itself where the peer knows use of its lane beyond what it appended', () => {
    const beyond = {
      appendedBytes: 64,
      usableBytes: 64,
      consumed: [{ start: 0, end: 64 }],
      granted: [],
    }
    const theirs = snapshotOf('follower', { lanes: { verifier: beyond, follower: EMPTY_LANE } })
    expect(judge(snapshotOf('verifier'), theirs).kind).toBe('self-restored')
  })

  test('what the peer says of it is compared with its state when the answer comes', () => {
    const now = snapshotOf('verifier', { commitCounter: 12 })
    const knownOfPeer = { ...KNOWN_OF_A, commitCounter: 12 }
    const answer = composeHello(snapshotOf('follower', { knownOfPeer }), NONCE)
    expect(judgeHello({ asked: mine, now, answer }).kind).toBe('agree')
  })
})

describe('the verifier, alone, makes an epoch', () => {
  test.each([
    ['another generation', { generation: 'c'.repeat(32) }],
    ['an earlier life', { life: 2 }],
    ['a lower commit counter', { commitCounter: 9 }],
    ['that it was restored', { restored: true }],
  ])('where the follower shows %s', (_, changes) => {
    const mine = snapshotOf('verifier', { knownOfPeer: KNOWN })
    expect(judge(mine, snapshotOf('follower'), changes)).toMatchObject({
      ...{ kind: 'begin', counter: 2, epochId: null, afterRestoreOf: 'follower' },
      // The follower may have yet to take its new one.
      peer: { generation: null },
    })
  })

  test('where the follower has forgotten a batch that was decided', () => {
    const mine = snapshotOf('verifier', { knownOfPeer: KNOWN, lastBatch: 4 })
    expect(judge(mine, snapshotOf('follower', { lastBatch: 3 }))).toMatchObject({
      ...{ kind: 'begin', counter: 2, afterRestoreOf: 'follower' },
    })
    // Compared with what was known when it was asked: it may have decided one meanwhile.
    const now = { ...mine, lastBatch: 5 }
    const answer = composeHello(snapshotOf('follower', { lastBatch: 4 }), NONCE)
    expect(judgeHello({ asked: mine, now, answer }).kind).toBe('agree')
  })

  test('where it was restored itself, or both were', () => {
    const mine = snapshotOf('verifier', { knownOfPeer: KNOWN, restored: true })
    expect(judge(mine, snapshotOf('follower'))).toMatchObject({
      ...{ kind: 'begin', counter: 2, afterRestoreOf: 'verifier' },
      peer: { generation: 'b'.repeat(32) },
    })
    expect(judge(mine, snapshotOf('follower', { restored: true }))).toMatchObject({
      ...{ kind: 'begin', counter: 2, afterRestoreOf: 'both' },
    })
  })

  test('with a counter above the higher of the two', () => {
    const mine = snapshotOf('verifier', { restored: true })
    expect(judge(mine, snapshotOf('follower', { epoch: epochOf(7) }))).toMatchObject({ counter: 8 })
    const theirs = snapshotOf('follower', { epoch: null, restored: true })
    expect(judge(snapshotOf('verifier', { epoch: epochOf(5) }), theirs)).toMatchObject({
      counter: 6,
    })
  })

  test('after a restore of a store that never had one', () => {
    const mine = snapshotOf('verifier', fresh)
    expect(judge(mine, snapshotOf('follower', { ...fresh, restored: true }))).toMatchObject({
      ...{ kind: 'begin', counter: 1, afterRestoreOf: 'follower' },
    })
  })

  test('where the follower has a lower one, though it had agreed with the present one', () => {
    const asked = snapshotOf('verifier', { epoch: epochOf(2), epochAgreed: true })
    for (const epoch of [epochOf(1), null]) {
      expect(judge(asked, snapshotOf('follower', { epoch }))).toMatchObject({
        ...{ kind: 'begin', counter: 3, afterRestoreOf: 'follower' },
      })
    }
  })

  test('and waits for a follower that is only late', () => {
    const asked = snapshotOf('verifier', { epoch: epochOf(2) })
    // Meanwhile, not when it asked, it has agreed.
    const now = { ...asked, epochAgreed: true }
    const answer = composeHello(snapshotOf('follower'), NONCE)
    expect(judgeHello({ asked, now, answer }).kind).toBe('wait')
  })

  test('once for one restore: the follower says so until the epoch has reached it', () => {
    const peer = { ...KNOWN, generation: null }
    const changes = {
      epoch: epochOf(2),
      epochAfterRestoreOf: 'follower',
      knownOfPeer: peer,
    } as const
    const asked = snapshotOf('verifier', changes)
    const late = snapshotOf('follower', { restored: true, generation: 'c'.repeat(32) })
    expect(judge(asked, late).kind).toBe('wait')
    // In the epoch it says so only of another restore.
    expect(judge(asked, { ...late, epoch: epochOf(2) })).toMatchObject({
      ...{ kind: 'begin', counter: 3, afterRestoreOf: 'follower' },
    })
  })

  test('and names again whom an epoch named that never reached the follower', () => {
    const changes = { epoch: epochOf(2), epochAfterRestoreOf: 'follower', restored: true } as const
    expect(judge(snapshotOf('verifier', changes), snapshotOf('follower'))).toMatchObject({
      ...{ kind: 'begin', counter: 3, afterRestoreOf: 'both' },
    })
  })

  test('and finds itself restored where it meets a later one, or another of the same number', () => {
    for (const epoch of [epochOf(2), epochOf(1, 'f')]) {
      const decision = judge(snapshotOf('verifier'), snapshotOf('follower', { epoch }))
      expect(decision.kind).toBe('self-restored')
    }
    const decision = judge(snapshotOf('verifier', { epoch: null }), snapshotOf('follower'))
    expect(decision.kind).toBe('self-restored')
  })

  test('what the peer says of itself is compared with what was known when it was asked', () => {
    const asked = snapshotOf('verifier', { knownOfPeer: KNOWN })
    // Meanwhile a question of the peer's next life has come: the answer is only old.
    const now = snapshotOf('verifier', { knownOfPeer: { ...KNOWN, life: 4 } })
    const answer = composeHello(snapshotOf('follower'), NONCE)
    expect(judgeHello({ asked, now, answer }).kind).toBe('agree')
  })
})

describe('the follower', () => {
  const later = { epoch: epochOf(2), epochAfterRestoreOf: 'verifier' } as const
  const knownOfVerifier = { generation: 'a'.repeat(32), life: 3, commitCounter: 10 }

  test('takes over a later epoch, and leaves the generation of a restored verifier open', () => {
    const mine = snapshotOf('follower', { knownOfPeer: knownOfVerifier })
    const theirs = snapshotOf('verifier', { ...later, generation: 'c'.repeat(32) })
    expect(judge(mine, theirs)).toMatchObject({
      ...{ kind: 'begin', counter: 2, epochId: epochOf(2).id, afterRestoreOf: 'verifier' },
      peer: { generation: null, life: 3, commitCounter: 10 },
    })
  })

  test('never takes over a lower one, nor another of the same number', () => {
    const mine = snapshotOf('follower', { epoch: epochOf(2) })
    for (const epoch of [epochOf(1), epochOf(2, 'f'), null]) {
      expect(judge(mine, snapshotOf('verifier', { epoch })).kind).toBe('wait')
    }
  })

  test('waits for the epoch of a verifier that was restored, whether or not that has noticed', () => {
    const mine = snapshotOf('follower', { knownOfPeer: knownOfVerifier })
    expect(judge(mine, snapshotOf('verifier', { life: 2 })).kind).toBe('wait')
    expect(judge(mine, snapshotOf('verifier', { restored: true })).kind).toBe('wait')
    // An epoch of before the verifier's restore would be all that is left of what was known of it.
    expect(judge(mine, snapshotOf('verifier', { life: 2, epoch: epochOf(2) })).kind).toBe('wait')
  })

  test('that was restored takes over only an epoch that was made for it', () => {
    const mine = snapshotOf('follower', { restored: true })
    expect(judge(mine, snapshotOf('verifier')).kind).toBe('wait')
    expect(judge(mine, snapshotOf('verifier', later)).kind).toBe('wait')
    const named = { epoch: epochOf(2), epochAfterRestoreOf: 'follower' } as const
    const open = { generation: null, life: 3, commitCounter: 10 }
    expect(judge(mine, snapshotOf('verifier', { ...named, knownOfPeer: open }))).toMatchObject({
      kind: 'begin',
      counter: 2,
    })
    // That was for an earlier restore: the verifier has agreed in it since.
    const agreed = { ...open, generation: 'b'.repeat(32) }
    expect(judge(mine, snapshotOf('verifier', { ...named, knownOfPeer: agreed })).kind).toBe('wait')
  })

  test('finds itself restored where a later epoch names it, or was used with it', () => {
    const mine = snapshotOf('follower')
    const named = { epoch: epochOf(2), epochAfterRestoreOf: 'both' } as const
    expect(judge(mine, snapshotOf('verifier', named)).kind).toBe('self-restored')
    expect(judge(mine, snapshotOf('verifier', { ...later, lastBatch: 1 })).kind).toBe(
      'self-restored',
    )
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
