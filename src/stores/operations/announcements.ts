import { KmeError } from '../../errors.ts'
import type { BlockRef } from '../../model/block.ts'
import type { DeviceId, LinkId } from '../../model/ids.ts'
import type { BlockQuestion, OwnWrite, Stamped } from '../../ports/lane-store.ts'
import type { AnnouncedBlock, BlockWhereabouts, Stamp } from '../../ports/peer.ts'
import type { BlockRow, StoreTx } from '../store-tx.ts'
import { announcedOf, endBlock, isProposed, quarantine } from './block-rows.ts'
import { applyOwn, applyStamped } from './guard.ts'
import type { LinkChange } from './link-change.ts'

export const listUnannounced = (
  tx: StoreTx,
  linkId: LinkId,
  limit: number,
): readonly AnnouncedBlock[] => tx.listUnannounced(linkId, limit).map(announcedOf)

export const markAnnounced = (
  tx: StoreTx,
  write: OwnWrite,
  refs: readonly BlockRef[],
  conflicting: readonly BlockRef[],
): void => {
  applyOwn(tx, write, (change) => {
    for (const ref of refs) patchUnverified(change, ref, { announced: true })
    for (const ref of conflicting) {
      const row = tx.findBlock(change.linkId, ref)
      if (row) quarantine(change, row)
    }
  })
}

export const applyAnnouncement = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  blocks: readonly AnnouncedBlock[],
): Stamped<readonly BlockRef[]> =>
  applyStamped(tx, linkId, stamp, (change) =>
    blocks.flatMap((block) => (match(change, block) ? [] : [block.ref])),
  )

/** Notes that the peer has a block; false where it has another length here. */
const match = (change: LinkChange, block: AnnouncedBlock): boolean => {
  assertLength(change, block)
  const row = change.tx.findBlock(change.linkId, block.ref)
  if (!row) {
    insertAwaited(change, block)
    return true
  }
  if (row.state === 'awaited' || row.state === 'gone') return true
  if (row.lengthBytes === block.lengthBytes) {
    patchUnverified(change, block.ref, { matched: true })
    return true
  }
  quarantine(change, row)
  return false
}

export const listUnmatched = (
  tx: StoreTx,
  linkId: LinkId,
  deviceId: DeviceId,
  receivedBeforeMs: number,
  limit: number,
): readonly AnnouncedBlock[] =>
  tx.listUnmatched(linkId, deviceId, receivedBeforeMs, limit).map(announcedOf)

export const answerQuestion = (
  tx: StoreTx,
  linkId: LinkId,
  stamp: Stamp,
  questions: readonly BlockQuestion[],
): Stamped<readonly BlockWhereabouts[]> =>
  applyStamped(tx, linkId, stamp, (change) =>
    questions.map((question) => whereabouts(change, question)),
  )

const whereabouts = (change: LinkChange, question: BlockQuestion): BlockWhereabouts => {
  // Who asks has it: the same news as an announcement.
  if (!match(change, question)) return 'gone'
  const row = change.tx.findBlock(change.linkId, question.ref)
  if (row?.state === 'unverified') return 'have'
  if (row?.state !== 'awaited') return 'gone'
  if (question.mayStillCome) return 'on-its-way'
  endAwaited(change, row)
  return 'gone'
}

export const applyWhereabouts = (
  tx: StoreTx,
  write: OwnWrite,
  answers: readonly { readonly ref: BlockRef; readonly where: BlockWhereabouts }[],
): readonly BlockRef[] =>
  applyOwn(tx, write, (change) =>
    answers.flatMap(({ ref, where }) => {
      if (where === 'gone') return dropBlock(change, ref) ? [ref] : []
      // We asked for it, so the peer knows that it is here.
      if (where === 'have') patchUnverified(change, ref, { announced: true, matched: true })
      return []
    }),
  )

const dropBlock = (change: LinkChange, ref: BlockRef): boolean => {
  const row = change.tx.findBlock(change.linkId, ref)
  if (row?.state !== 'unverified' || isProposed(change, row)) return false
  endBlock(change, row, 'gone', 'dropped')
  return true
}

export const listAwaited = (
  tx: StoreTx,
  linkId: LinkId,
  deviceId: DeviceId,
  limit: number,
): readonly AnnouncedBlock[] => tx.listAwaited(linkId, deviceId, limit).map(announcedOf)

export const markGone = (tx: StoreTx, write: OwnWrite, refs: readonly BlockRef[]): void => {
  applyOwn(tx, write, (change) => {
    for (const ref of refs) {
      const row = tx.findBlock(change.linkId, ref)
      if (row?.state === 'awaited') endAwaited(change, row)
      // Both ends of the device are here, and one of them will never get it.
      else if (change.isSelf) dropBlock(change, ref)
    }
  })
}

const endAwaited = (change: LinkChange, row: BlockRow): void => {
  change.gap(row.lengthBytes)
  change.tx.updateBlock({ ...row, state: 'gone' })
}

const insertAwaited = (change: LinkChange, block: AnnouncedBlock): void => {
  const { ref, lengthBytes } = block
  change.touch()
  change.tx.insertBlock(
    {
      linkId: change.linkId,
      ref,
      lengthBytes,
      state: 'awaited',
      announced: false,
      matched: true,
      suspect: false,
      spentBytes: 0,
      receivedMs: 0,
      end: null,
      fingerprint: null,
    },
    null,
  )
}

const patchUnverified = (
  change: LinkChange,
  ref: BlockRef,
  patch: Partial<Pick<BlockRow, 'announced' | 'matched'>>,
): void => {
  const row = change.tx.findBlock(change.linkId, ref)
  if (row?.state !== 'unverified') return
  const next = { ...row, ...patch }
  if (next.announced === row.announced && next.matched === row.matched) return
  change.tx.updateBlock(next)
  change.touch()
}

const assertLength = (change: LinkChange, { lengthBytes }: AnnouncedBlock): void => {
  if (Number.isSafeInteger(lengthBytes) && lengthBytes > 0) return
  throw new KmeError('PROTOCOL', `link ${change.linkId}: the peer told of a block without length`)
}
