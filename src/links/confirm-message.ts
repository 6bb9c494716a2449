import type { ConfirmMessage } from '../ports/peer.ts'
import type { Delivery, RegisteredSae } from '../model/delivery.ts'

/** What the peer is told of a delivery: the slaves registered with it, and nothing of the others. */
export const confirmOf = (
  delivery: Delivery,
  remoteSlaves: readonly RegisteredSae[],
): ConfirmMessage => ({
  kind: 'confirm',
  deliveryId: delivery.deliveryId,
  lane: delivery.lane,
  offset: delivery.offset,
  keyLengthBytes: delivery.keyLengthBytes,
  keyCount: delivery.keyCount,
  master: delivery.master,
  slaves: remoteSlaves,
  timeToLiveMs: delivery.timeToLiveMs,
})
