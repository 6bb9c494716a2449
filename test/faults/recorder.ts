import type { KeyMessage } from '../../src/etsi014/messages.ts'
import { wipe } from '../../src/support/wipe.ts'
import { Fingerprinter } from './fingerprint.ts'
import type { Doubt, Draw, Fetch, KeySeen, Outcome, Restore, Start } from './record.ts'

export interface Answer {
  readonly outcome: Outcome
  readonly keys: readonly KeySeen[]
}

/** Keeps every answer that a client saw at either site, and of keys only what is keyed. */
export class Recorder {
  readonly draws: Draw[] = []
  readonly fetches: Fetch[] = []
  readonly restores: Restore[] = []
  readonly doubts: Doubt[] = []
  readonly starts: Start[] = []
  /** By fingerprint: the windows of every key that was seen. */
  readonly windows = new Map<string, BigUint64Array>()
  readonly fingerprinter = new Fingerprinter()

  /** Takes the keys of an answer over and wipes them. */
  see(messages: readonly KeyMessage[]): readonly KeySeen[] {
    return messages.map(({ key_ID: keyId, key }) => {
      const fingerprint = this.fingerprinter.of(key)
      if (!this.windows.has(fingerprint)) {
        this.windows.set(fingerprint, this.fingerprinter.windows(key))
      }
      const lengthBytes = key.length
      wipe(key)
      return { keyId, lengthBytes, fingerprint }
    })
  }
}
