import type { AuditEntry } from '../../ports/audit.ts'
import type { LaneDrop, SaeList } from '../../ports/delivery-store.ts'
import type { Generation } from '../../model/ids.ts'
import type { LaneState } from '../../model/lane.ts'
import type { LaneGrant, LaneStretch, Proposal } from '../../ports/lane-store.ts'
import type { Ledger } from '../../model/ledger.ts'
import type { Piece } from '../../model/block.ts'
import type { BlockRow, DeliveryRow, LinkRow, RedeliveryRow } from '../store-tx.ts'
import type { StoreMeta, VerdictRow } from '../store-tx.ts'
import { MaterialTable } from './material-table.ts'
import { MemoryTable } from './memory-table.ts'
import type { Journal } from './journal.ts'

/** Keys of several parts are joined as JSON: any of them may hold any character. */
export const joinKey = (...parts: readonly (string | number)[]): string => JSON.stringify(parts)

/** One table per kind of row, by the name of the link, or of the link and more. */
export class MemoryTables {
  readonly meta: MemoryTable<string, StoreMeta>
  readonly links: MemoryTable<string, LinkRow>
  readonly ledgers: MemoryTable<string, Ledger>
  readonly proposals: MemoryTable<string, Proposal>
  readonly verdicts: MemoryTable<string, VerdictRow>
  readonly suspects: MemoryTable<string, readonly (readonly Piece[])[]>
  readonly checkpoints: MemoryTable<string, Buffer>
  readonly formerGenerations: MemoryTable<number, Generation>
  readonly freshDevices: MemoryTable<string, true>
  readonly fingerprintKeys: MaterialTable<string>
  readonly blocks: MemoryTable<number, BlockRow>
  readonly blocksByRef: MemoryTable<string, number>
  /** Blocks that lists are made of: those awaited or unverified. */
  readonly openBlocks: MemoryTable<number, BlockRow>
  readonly materials: MaterialTable<number>
  readonly lanes: MemoryTable<string, LaneState>
  readonly stretches: MemoryTable<string, readonly LaneStretch[]>
  readonly chunks: MaterialTable<string>
  readonly deliveries: MemoryTable<number, DeliveryRow>
  readonly deliveriesById: MemoryTable<string, number>
  readonly unconfirmed: MemoryTable<number, DeliveryRow>
  readonly held: MaterialTable<number>
  readonly redeliveries: MemoryTable<number, RedeliveryRow>
  readonly redeliveriesByDigest: MemoryTable<string, number>
  readonly redelivered: MaterialTable<number>
  readonly drops: MemoryTable<string, readonly LaneDrop[]>
  readonly grants: MemoryTable<string, readonly LaneGrant[]>
  readonly saes: MemoryTable<string, SaeList>
  readonly audit: MemoryTable<number, AuditEntry>
  #lastSeq = 0

  constructor(journal: Journal, generation: string) {
    this.meta = new MemoryTable(journal)
    this.links = new MemoryTable(journal)
    this.ledgers = new MemoryTable(journal)
    this.proposals = new MemoryTable(journal)
    this.verdicts = new MemoryTable(journal)
    this.suspects = new MemoryTable(journal)
    this.checkpoints = new MemoryTable(journal)
    this.formerGenerations = new MemoryTable(journal)
    this.freshDevices = new MemoryTable(journal)
    this.fingerprintKeys = new MaterialTable(journal)
    this.blocks = new MemoryTable(journal)
    this.blocksByRef = new MemoryTable(journal)
    this.openBlocks = new MemoryTable(journal)
    this.materials = new MaterialTable(journal)
    this.lanes = new MemoryTable(journal)
    this.stretches = new MemoryTable(journal)
    this.chunks = new MaterialTable(journal)
    this.deliveries = new MemoryTable(journal)
    this.deliveriesById = new MemoryTable(journal)
    this.unconfirmed = new MemoryTable(journal)
    this.held = new MaterialTable(journal)
    this.redeliveries = new MemoryTable(journal)
    this.redeliveriesByDigest = new MemoryTable(journal)
    this.redelivered = new MaterialTable(journal)
    this.drops = new MemoryTable(journal)
    this.grants = new MemoryTable(journal)
    this.saes = new MemoryTable(journal)
    this.audit = new MemoryTable(journal)
    this.meta.set('', { generation, runningMs: 0 })
    journal.commit()
  }

  /** Above every one given before, also by what was rolled back. */
  nextSeq(): number {
    this.#lastSeq += 1
    return this.#lastSeq
  }

  wipe(): void {
    for (const table of [this.fingerprintKeys, this.chunks]) table.wipeAll()
    for (const table of [this.materials, this.held, this.redelivered]) table.wipeAll()
  }
}
