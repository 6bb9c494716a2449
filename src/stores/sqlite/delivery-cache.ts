import type { DeliveryId } from '../../model/key-id.ts'
import type { DeliveryRow } from '../store-tx.ts'
import { deliveryLengthBytes } from '../../model/delivery.ts'
import { wipe } from '../../support/wipe.ts'
import {
  beginGroup,
  continues,
  groupSeqOf,
  indexOf,
  risingOf,
  seqOf,
  spanOf,
  type DeliveryGroup,
  type Member,
} from './delivery-group.ts'

/** The rows under the cache. */
export interface GroupTable {
  read(groupSeq: number): StoredGroup | null
  /** The groups in which a delivery of this ID may be: as a rule one, or none. */
  candidates(deliveryId: DeliveryId): readonly number[]
  lastSeq(): number
  /** Inserts or replaces; `held` null: no bytes are kept. */
  write(group: DeliveryGroup, version: number, held: Buffer | null): void
  delete(groupSeq: number): void
}

export interface StoredGroup {
  readonly group: DeliveryGroup
  /** Of its last sealing. */
  readonly version: number
  /** Opens the bytes that it keeps. The caller wipes them. */
  readonly openHeld: () => Buffer | null
}

/** How a change becomes undone; `secret` is wiped when that is no longer needed. */
interface Undo {
  readonly run: () => void
  readonly secret?: Buffer
}

interface Cached {
  readonly group: DeliveryGroup
  version: number
  readonly openHeld: () => Buffer | null
  /** Bytes of all members, those that are not kept as zeros; undefined: not opened yet. */
  held: Buffer | undefined
  isDirty: boolean
}

/**
 * Deliveries while a transaction works on them: each group is read, opened, sealed and written once,
 * however many of its members change. Nothing of it outlives the transaction.
 */
export class DeliveryCache {
  readonly #table: GroupTable
  readonly #groups = new Map<number, Cached>()
  /** Of the deliveries that were inserted. */
  readonly #seqs = new Map<string, number>()
  /** The group that the next delivery may join. */
  #open: Cached | null = null
  #lastSeq: number | null = null
  /** How what was changed since the savepoint becomes what it was. */
  #undo: Undo[] = []
  /** Written since the savepoint: undone with it in the database. */
  readonly #flushed = new Set<Cached>()

  constructor(table: GroupTable) {
    this.#table = table
  }

  find(deliveryId: DeliveryId): DeliveryRow | null {
    const known = this.#seqs.get(deliveryId.toString('hex'))
    if (known !== undefined) return this.#memberAt(known)?.row ?? null
    for (const groupSeq of this.#table.candidates(deliveryId)) {
      const group = this.#load(groupSeq)?.group
      if (!group) continue
      const member = group.members[risingOf(deliveryId) - risingOf(group.facts.firstId)]
      if (member?.row.delivery.deliveryId.equals(deliveryId)) return member.row
    }
    return null
  }

  insert(delivery: Omit<DeliveryRow, 'seq'>): DeliveryRow {
    const open = this.#open
    const row =
      open && continues(open.group, delivery) ? this.#join(open, delivery) : this.#begin(delivery)
    const id = delivery.delivery.deliveryId.toString('hex')
    this.#seqs.set(id, row.seq)
    this.#undo.push({ run: () => this.#seqs.delete(id) })
    return row
  }

  update(row: DeliveryRow): void {
    const member = this.#memberAt(row.seq)
    if (member) this.#setMember(row.seq, { ...member, row })
  }

  /** The delivery and its held bytes. */
  delete(seq: number): void {
    if (!this.#memberAt(seq)) return
    this.deleteHeld(seq)
    this.#setMember(seq, null)
  }

  readHeld(row: DeliveryRow): Buffer | null {
    const cached = this.#load(groupSeqOf(row.seq))
    const member = this.#memberAt(row.seq)
    if (!cached || !member?.isHeld) return null
    const { start, end } = spanOf(cached.group, row)
    return Buffer.from(this.#heldOf(cached).subarray(start, end))
  }

  writeHeld(row: DeliveryRow, bytes: Buffer): void {
    const cached = this.#load(groupSeqOf(row.seq))
    const member = this.#memberAt(row.seq)
    if (!cached || !member) throw new TypeError('bytes are held for a delivery that is there')
    const { start, end } = spanOf(cached.group, row)
    if (bytes.length !== end - start) throw new TypeError('held bytes are those of the range')
    this.#changeHeld(cached, start, bytes)
    this.#setMember(row.seq, { ...member, isHeld: true })
  }

  deleteHeld(seq: number): void {
    const cached = this.#load(groupSeqOf(seq))
    const member = this.#memberAt(seq)
    if (!cached || !member?.isHeld) return
    const { start, end } = spanOf(cached.group, member.row)
    this.#changeHeld(cached, start, Buffer.alloc(end - start))
    this.#setMember(seq, { ...member, isHeld: false })
  }

  /** Writes what has changed, so that the rows are as they should be. */
  flush(): void {
    for (const cached of this.#groups.values()) {
      if (!cached.isDirty) continue
      const { group } = cached
      cached.isDirty = false
      this.#flushed.add(cached)
      if (group.members.every((member) => member === null)) {
        this.#table.delete(group.facts.seq)
        continue
      }
      const isHeld = group.members.some((member) => member?.isHeld)
      cached.version += 1
      this.#table.write(group, cached.version, isHeld ? this.#heldOf(cached) : null)
    }
  }

  /** From here on `rollBackPart` undoes. */
  beginPart(): void {
    for (const { secret } of this.#undo) wipe(secret)
    this.#undo = []
    this.#flushed.clear()
  }

  /** What was changed since `beginPart` is undone; what was flushed since is written again. */
  rollBackPart(): void {
    for (const { run } of this.#undo.reverse()) run()
    for (const cached of this.#flushed) cached.isDirty = true
    this.beginPart()
  }

  /** The end of a transaction, whichever. */
  clear(): void {
    this.beginPart()
    for (const { held } of this.#groups.values()) wipe(held)
    this.#groups.clear()
    this.#seqs.clear()
    this.#open = null
    this.#lastSeq = null
  }

  #begin(delivery: Omit<DeliveryRow, 'seq'>): DeliveryRow {
    const [open, lastSeq] = [this.#open, this.#lastSeq]
    const groupSeq = (lastSeq ?? this.#table.lastSeq()) + 1
    const group = beginGroup(groupSeq, delivery)
    const cached = { group, version: 0, openHeld: () => null, held: undefined, isDirty: true }
    this.#undo.push({
      run: () => {
        wipe(this.#groups.get(groupSeq)?.held)
        this.#groups.delete(groupSeq)
        this.#open = open
        this.#lastSeq = lastSeq
      },
    })
    this.#groups.set(groupSeq, cached)
    this.#open = cached
    this.#lastSeq = groupSeq
    return { ...delivery, seq: seqOf(groupSeq, 0) }
  }

  #join(open: Cached, delivery: Omit<DeliveryRow, 'seq'>): DeliveryRow {
    const { group } = open
    const { lengthBytes, members } = group
    const row = { ...delivery, seq: seqOf(group.facts.seq, members.length) }
    this.#undo.push({
      run: () => {
        members.pop()
        this.#resize(open, lengthBytes)
      },
    })
    members.push({ row, isHeld: false })
    this.#resize(open, lengthBytes + deliveryLengthBytes(delivery.delivery))
    open.isDirty = true
    return row
  }

  #resize(cached: Cached, lengthBytes: number): void {
    cached.group.lengthBytes = lengthBytes
    const { held } = cached
    if (!held) return
    cached.held = Buffer.alloc(lengthBytes)
    held.copy(cached.held)
    wipe(held)
  }

  #memberAt(seq: number): Member | null {
    return this.#load(groupSeqOf(seq))?.group.members[indexOf(seq)] ?? null
  }

  #load(groupSeq: number): Cached | null {
    const known = this.#groups.get(groupSeq)
    if (known) return known
    const stored = this.#table.read(groupSeq)
    if (!stored) return null
    const cached = { ...stored, held: undefined, isDirty: false }
    this.#groups.set(groupSeq, cached)
    return cached
  }

  #heldOf(cached: Cached): Buffer {
    cached.held ??= cached.openHeld() ?? Buffer.alloc(cached.group.lengthBytes)
    return cached.held
  }

  #setMember(seq: number, member: Member | null): void {
    const cached = this.#load(groupSeqOf(seq))
    if (!cached) return
    const { members } = cached.group
    const index = indexOf(seq)
    const before = members[index] ?? null
    this.#undo.push({
      run: () => {
        members[index] = before
      },
    })
    members[index] = member
    cached.isDirty = true
  }

  #changeHeld(cached: Cached, start: number, bytes: Buffer): void {
    const held = this.#heldOf(cached)
    const before = Buffer.from(held.subarray(start, start + bytes.length))
    this.#undo.push({
      run: () => before.copy(this.#heldOf(cached), start),
      secret: before,
    })
    bytes.copy(held, start)
    cached.isDirty = true
  }
}
