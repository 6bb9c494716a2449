import type { DeviceId, LinkId } from '../model/ids.ts'

/**
 * What the parts of a KME let others see: log lines, alarms and counters. An observer never throws,
 * never waits, and is never given key material.
 */
export interface Observer {
  /** Something happened that an operator may want to read about. */
  event(event: KmeEvent): void
  /** Something that a person should look at; stands until `clear` is called for the same subject. */
  alarm(alarm: Alarm): void
  clear(name: AlarmName, subject: AlarmSubject): void
}

export type EventLevel = 'debug' | 'info' | 'warn' | 'error'

export interface KmeEvent {
  readonly level: EventLevel
  /** Stable name in words joined by dots, for example `link.hello.agreed`. */
  readonly name: string
  readonly message: string
  readonly fields?: Readonly<Record<string, string | number | boolean | null>>
}

export type AlarmName =
  | 'peer-protocol' // no common version, or a message that the protocol forbids
  | 'peer-restored' // the peer's store was restored or replaced
  | 'self-restored' // this store was restored or replaced
  | 'blocks-differ' // the two ends hold different bytes under one ref
  | 'ref-reused' // a device offered other bytes under a ref that is known
  | 'biased-input' // a block failed a health test
  | 'device-stopped' // a device was stopped for its bad blocks
  | 'device-failed' // a driver failed and needs an operator
  | 'confirm-refused' // the peer refused a delivery
  | 'range-conflict' // two deliveries claim one range
  | 'sae-claimed-twice' // an SAE that two KMEs claim
  | 'ledger-unbalanced'
  | 'store-failed'
  | 'simulated-keys' // key material on this link is not from hardware

export interface AlarmSubject {
  readonly linkId?: LinkId
  readonly deviceId?: DeviceId
  readonly id?: string
}

export interface Alarm extends AlarmSubject {
  readonly name: AlarmName
  readonly severity: 'major' | 'minor'
  /** One line: what, where, what to do. */
  readonly message: string
}
