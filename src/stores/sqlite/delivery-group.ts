import type { RegisteredSae } from '../../model/delivery.ts'
import { deliveryLengthBytes } from '../../model/delivery.ts'
import type { DeliveryId } from '../../model/key-id.ts'
import { sameEpoch, type LaneName } from '../../model/lane.ts'
import type { DeliveryRow, EntitledSlave } from '../store-tx.ts'
import { decodeJson, decodeSaes } from './json.ts'

/**
 * Deliveries that were committed together lie in one row: their IDs follow one another, and so do
 * their ranges. A member's number is its place in the group.
 */
export interface DeliveryGroup {
  readonly facts: GroupFacts
  /** Null: this delivery has ended. */
  readonly members: (Member | null)[]
  /** Length of the ranges of all members, ended ones too. */
  lengthBytes: number
}

/** What all members have in common, and where the first of them begins. */
export interface GroupFacts {
  readonly seq: number
  readonly firstId: DeliveryId
  readonly linkId: DeliveryRow['linkId']
  readonly epoch: DeliveryRow['epoch']
  readonly lane: LaneName
  readonly offset: number
  readonly timeToLiveMs: number
  readonly remoteKmeId: string | null
  readonly expiresMs: number
}

export interface Member {
  readonly row: DeliveryRow
  /** Bytes are kept for slaves here. */
  readonly isHeld: boolean
}

/** Bounds what a fetch of one key opens and seals again. */
export const MOST_MEMBERS = 32

/** A delivery's `seq` is that of its group and its place in it. */
export const seqOf = (groupSeq: number, index: number): number => groupSeq * MOST_MEMBERS + index
export const groupSeqOf = (seq: number): number => Math.floor(seq / MOST_MEMBERS)
export const indexOf = (seq: number): number => seq % MOST_MEMBERS

/** The rising part of a delivery ID: model/key-id.ts. */
export const risingOf = (deliveryId: DeliveryId): number =>
  Math.floor(deliveryId.readUIntBE(0, 6) / 4)

/** A group of which this delivery is the first. */
export const beginGroup = (seq: number, row: Omit<DeliveryRow, 'seq'>): DeliveryGroup => {
  const { linkId, epoch, delivery, remoteKmeId, expiresMs } = row
  const { deliveryId: firstId, lane, offset, timeToLiveMs } = delivery
  const facts = {
    ...{ seq, firstId, linkId, epoch, lane, offset, timeToLiveMs, remoteKmeId, expiresMs },
  }
  const first = { row: { ...row, seq: seqOf(seq, 0) }, isHeld: false }
  return { facts, members: [first], lengthBytes: deliveryLengthBytes(delivery) }
}

/** Whether a new delivery can be the next member. */
export const continues = (group: DeliveryGroup, next: Omit<DeliveryRow, 'seq'>): boolean => {
  const { facts, members, lengthBytes } = group
  const { delivery } = next
  return (
    members.length < MOST_MEMBERS &&
    next.linkId === facts.linkId &&
    sameEpoch(next.epoch, facts.epoch) &&
    next.remoteKmeId === facts.remoteKmeId &&
    next.expiresMs === facts.expiresMs &&
    delivery.lane === facts.lane &&
    delivery.timeToLiveMs === facts.timeToLiveMs &&
    delivery.offset === facts.offset + lengthBytes &&
    risingOf(delivery.deliveryId) === risingOf(facts.firstId) + members.length
  )
}

/** Where a member's bytes lie in those of its group. */
export const spanOf = ({ facts }: DeliveryGroup, { delivery }: DeliveryRow) => {
  const start = delivery.offset - facts.offset
  return { start, end: start + deliveryLengthBytes(delivery) }
}

/** SAEs by their places in the group's list: members name the same few. */
type MemberJson = readonly [
  id: string,
  offset: number,
  keyLength: number,
  keyCount: number,
  master: number,
  slaves: readonly (readonly [sae: number, unfetched: string])[],
  remoteSlaves: readonly number[],
  remote: DeliveryRow['remote'],
  isHeld: 0 | 1,
]

export interface MembersText {
  readonly saes: string
  readonly members: string
}

/** Both lists as JSON, for one column each. */
export const encodeMembers = ({ members }: DeliveryGroup): MembersText => {
  const saes: RegisteredSae[] = []
  const places = new Map<string, number>()
  const placeOf = ({ saeId, registrationId }: RegisteredSae): number => {
    const name = `${registrationId}${saeId}`
    const known = places.get(name)
    if (known !== undefined) return known
    places.set(name, saes.length)
    return saes.push({ saeId, registrationId }) - 1
  }
  const toJson = (member: Member | null): MemberJson | null => {
    if (member === null) return null
    const { delivery, slaves, remoteSlaves, remote } = member.row
    return [
      delivery.deliveryId.toString('base64'),
      delivery.offset,
      delivery.keyLengthBytes,
      delivery.keyCount,
      placeOf(delivery.master),
      slaves.map((slave) => [placeOf(slave), slave.unfetched.toString('base64')]),
      remoteSlaves.map(placeOf),
      remote,
      member.isHeld ? 1 : 0,
    ]
  }
  const text = JSON.stringify(members.map(toJson))
  const list = saes.map(({ saeId, registrationId }) => [saeId, registrationId])
  return { saes: JSON.stringify(list), members: text }
}

export const decodeMembers = (facts: GroupFacts, text: MembersText): (Member | null)[] => {
  const saes = decodeSaes(text.saes)
  const saeAt = (place: number): RegisteredSae => {
    const sae = saes[place]
    if (!sae) throw new TypeError('a member names an SAE that its group has not')
    return sae
  }
  const slaveOf = ([place, unfetched]: readonly [number, string]): EntitledSlave => ({
    ...saeAt(place),
    unfetched: Buffer.from(unfetched, 'base64'),
  })
  const { seq, linkId, epoch, lane, timeToLiveMs, remoteKmeId, expiresMs } = facts
  const memberOf = (member: MemberJson | null, index: number): Member | null => {
    if (member === null) return null
    const [id, offset, keyLengthBytes, keyCount, master, slaves, remoteSlaves, remote, held] =
      member
    const delivery = {
      ...{ deliveryId: Buffer.from(id, 'base64'), lane, offset, keyLengthBytes, keyCount },
      ...{ master: saeAt(master), timeToLiveMs },
    }
    const row = {
      ...{ seq: seqOf(seq, index), linkId, epoch, delivery, slaves: slaves.map(slaveOf) },
      ...{ remoteSlaves: remoteSlaves.map(saeAt), remoteKmeId, remote, expiresMs },
    }
    return { row, isHeld: held === 1 }
  }
  return decodeJson(text.members, (members: readonly (MemberJson | null)[]) =>
    members.map(memberOf),
  )
}
