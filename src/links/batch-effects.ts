import type { BlockRef } from '../model/block.ts'
import type { BatchEffect } from '../ports/lane-store.ts'
import type { LinkParts } from './link-parts.ts'
import type { LinkState } from './link-state.ts'
import type { OwnLanes } from './own-lanes.ts'

/** Blocks of which the two ends hold different lengths: quarantined at both. */
export const alarmLengths = (
  { settings, observer }: LinkParts,
  conflicting: readonly BlockRef[],
): void => {
  const { linkId } = settings
  for (const { deviceId, streamId, vendorId } of conflicting) {
    observer.alarm({
      ...{ name: 'blocks-differ', severity: 'major', linkId, deviceId },
      message:
        `link ${linkId}, device ${deviceId}: block ${streamId}/${vendorId} has another length at ` +
        'the other end; it is quarantined',
    })
  }
}

/** What follows at this end from a decided batch: key to allocate from, and alarms. */
export class BatchEffects {
  readonly #parts: LinkParts
  readonly #state: LinkState
  readonly #lanes: OwnLanes

  constructor(parts: LinkParts, state: LinkState, lanes: OwnLanes) {
    this.#parts = parts
    this.#state = state
    this.#lanes = lanes
  }

  apply(effect: BatchEffect): void {
    this.#state.learn(effect.snapshot)
    this.#lanes.extend(effect.snapshot, effect.appended)
    for (const ref of effect.quarantined) {
      const { settings, observer } = this.#parts
      observer.alarm({
        name: 'blocks-differ',
        severity: 'major',
        linkId: settings.linkId,
        deviceId: ref.deviceId,
        message:
          `link ${settings.linkId}, device ${ref.deviceId}: the two ends hold different bytes of ` +
          `block ${ref.streamId}/${ref.vendorId}; it is quarantined`,
      })
    }
  }
}
