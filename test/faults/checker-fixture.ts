import { EMPTY_RECORD, nextHead } from '../../src/audit/chain.ts'
import { makeDeliveryId, keyIdOf, splitKeyId } from '../../src/model/key-id.ts'
import { emptyLedger, type LedgerState } from '../../src/model/ledger.ts'
import type { AuditAction } from '../../src/ports/audit.ts'
import { Dice } from '../links/chaos/dice.ts'
import type { Evidence, StoreFacts } from './checker/evidence.ts'
import { DEFAULT_TERMS, type Draw, type Fetch, type SiteName, type SlaveNamed } from './record.ts'
import { Recorder } from './recorder.ts'

/** Records of a world where all is well, into which a test plants what is not. */

export type Mutable<T> = { -readonly [K in keyof T]: T[K] }

type AuditRow = Mutable<StoreFacts['audit'][number]>

export interface World {
  readonly recorder: Recorder
  readonly draws: Mutable<Draw>[]
  readonly fetches: Mutable<Fetch>[]
  readonly audit: Record<SiteName, AuditRow[]>
  readonly bytes: Map<string, Buffer>
}

const dice = new Dice(7)
let rising = 1

/** Draws keys and lets each slave fetch them. */
export const deliver = (
  world: World,
  site: SiteName,
  masterId: string,
  slaves: readonly SlaveNamed[],
  keys: readonly Buffer[],
  atMs = world.draws.length * 100,
): void => {
  rising += 1
  const deliveryId = makeDeliveryId(rising, dice.bytes(10))
  const { recorder } = world
  const answer = () =>
    recorder.see(keys.map((key, i) => ({ key_ID: keyIdOf(deliveryId, i), key: Buffer.from(key) })))
  const drawn = answer()
  for (const [i, { keyId }] of drawn.entries()) world.bytes.set(keyId, keys[i] ?? Buffer.alloc(0))
  const outcome = { result: 'answered' } as const
  const times = { startedMs: atMs, endedMs: atMs + 10 }
  world.draws.push({ call: 'draw', site, masterId, slaves, outcome, keys: drawn, ...times })
  const row = (at: SiteName, action: AuditAction, saes: readonly string[]): void => {
    appendAudit(world.audit[at], { action, deliveryId, keyCount: keys.length, masterId, saes })
  }
  row(
    site,
    'delivered',
    slaves.map(({ saeId }) => saeId),
  )
  const there = slaves.filter((slave) => slave.site !== site)
  if (there[0])
    row(
      there[0].site,
      'held',
      there.map(({ saeId }) => saeId),
    )
  for (const slave of slaves) {
    const keyIds = drawn.map(({ keyId }) => keyId)
    world.fetches.push({
      call: 'fetch',
      site: slave.site,
      saeId: slave.saeId,
      masterId,
      keyIds,
      outcome,
      keys: answer(),
      startedMs: atMs + 20,
      endedMs: atMs + 30,
    })
    row(slave.site, 'fetched', [slave.saeId])
  }
}

const appendAudit = (
  audit: AuditRow[],
  row: Pick<AuditRow, 'action' | 'keyCount' | 'saes'> & {
    readonly deliveryId: Buffer
    readonly masterId: string
  },
): void => {
  audit.push({
    sequence: audit.length + 1,
    atMs: 0,
    action: row.action,
    linkId: 'a-b',
    deliveryId: row.deliveryId.toString('hex'),
    keyCount: row.keyCount,
    keySizeBits: 256,
    master: row.masterId,
    saes: row.saes,
    chain: Buffer.alloc(32),
  })
}

export const deliveryOf = (keyId: string): string => splitKeyId(keyId).deliveryId.toString('hex')

export const A1: SlaveNamed = { saeId: 'a1', site: 'a' }
export const A2: SlaveNamed = { saeId: 'a2', site: 'a' }
export const B1: SlaveNamed = { saeId: 'b1', site: 'b' }

export const randomKey = (lengthBytes = 32): Buffer => dice.bytes(lengthBytes)

/** Three deliveries: there, back, and to both sites. */
export const goodWorld = (): World => {
  const recorder = new Recorder()
  const world: World = {
    recorder,
    draws: recorder.draws,
    fetches: recorder.fetches,
    audit: { a: [], b: [] },
    bytes: new Map(),
  }
  deliver(world, 'a', 'a1', [B1], [randomKey(), randomKey(8)])
  deliver(world, 'b', 'b1', [A1], [randomKey(128)])
  deliver(world, 'a', 'a1', [A2, B1], [randomKey(), randomKey()])
  return world
}

/** The rows as a chain, wherever they came from. */
const chained = (rows: readonly AuditRow[]): StoreFacts['audit'] => {
  let head = EMPTY_RECORD
  return rows.map((row) => {
    head = nextHead(head, row)
    return { ...row, chain: head.chain }
  })
}

type Facts = Mutable<StoreFacts>

const factsOf = (world: World, site: SiteName): Facts => {
  const bytes = world.draws
    .flatMap(({ keys }) => keys)
    .reduce((sum, { lengthBytes }) => sum + lengthBytes, 0)
  const ledger = emptyLedger()
  const lane = {
    appendedBytes: 4096,
    usableBytes: 4096,
    consumed: [{ start: 0, end: bytes }],
    granted: [],
  }
  return {
    integrity: 'ok',
    epoch: { counter: 1, id: '0'.repeat(32) },
    lanes: { verifier: lane, follower: lane },
    ledger: {
      ...ledger,
      receivedBytes: bytes + 100,
      bytes: { ...ledger.bytes, delivered: bytes, ownLane: 60, otherLane: 40 },
    },
    recount: { unverified: 0, ownLane: 60, otherLane: 40, granted: 0, held: 0 },
    unconfirmed: 0,
    pendingDrops: 0,
    audit: chained(world.audit[site]),
  }
}

/** The same ledger with that many bytes more in one state. */
export const withBytes = (facts: StoreFacts, state: LedgerState, more: number): StoreFacts => ({
  ...facts,
  ledger: {
    ...facts.ledger,
    bytes: { ...facts.ledger.bytes, [state]: facts.ledger.bytes[state] + more },
  },
})

export const evidenceOf = (world: World, changes: Partial<Evidence> = {}): Evidence => ({
  terms: DEFAULT_TERMS,
  draws: world.draws,
  fetches: world.fetches,
  restores: [],
  doubts: [],
  starts: [],
  windows: world.recorder.windows,
  stores: { a: factsOf(world, 'a'), b: factsOf(world, 'b') },
  leaks: [],
  complaints: [],
  ...changes,
})
