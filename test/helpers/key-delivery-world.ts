import { KeyDelivery } from '../../src/delivery/key-delivery.ts'
import type { Destination, LocalSae, SaeDirectory } from '../../src/ports/destination.ts'
import type { SaeLocation } from '../../src/ports/destination.ts'
import type { Moment } from '../../src/model/moment.ts'
import { FakeDestination, FakeKeyStore } from './fake-key-source.ts'
import { RecordingObserver } from './recording-observer.ts'

/** An SAE ID with everything that a path or a JSON text treats specially. */
export const ODD_SAE_ID = 'CN=enc 1+2%,O="Lab"/Köln&b=c?#'

const LOCAL: readonly LocalSae[] = ['sae-a', 'sae-b', 'sae-c', 'sae-d', ODD_SAE_ID].map(
  (saeId, i) => ({ saeId, registrationId: String(i).padStart(32, '0'), loopback: false }),
)
const LOOPBACK: LocalSae = { saeId: 'sae-loop', registrationId: '9'.repeat(32), loopback: true }

/**
 * KME kme-a with SAEs sae-a to sae-d and sae-loop, a link with itself, and links with kme-b (sae-r1,
 * sae-r2) and kme-c (sae-q); a link has the name of the KME at its other end. Of sae-late nobody knows yet where it is, and two KMEs claim sae-twice.
 */
export class KeyDeliveryWorld {
  runningMs = 0
  readonly now = (): Moment => ({ runningMs: this.runningMs, wallMs: Date.UTC(2030, 0, 1) })
  readonly store = new FakeKeyStore()
  readonly observer = new RecordingObserver()
  readonly here = this.#destination('kme-a')
  readonly overB = this.#destination('kme-b')
  readonly overC = this.#destination('kme-c')
  /** Null: the KME has no link with itself. */
  localDestination: Destination | null = this.here
  readonly directory: SaeDirectory = {
    local: (saeId) => [...LOCAL, LOOPBACK].find((sae) => sae.saeId === saeId) ?? null,
    locate: (saeId) => this.#locate(saeId),
    localDestination: () => this.localDestination,
    redeliveryWindowMs: (linkId) =>
      [this.here, this.overB, this.overC].find(({ targetKmeId }) => targetKmeId === linkId)?.limits
        .redeliveryWindowMs ?? 0,
  }
  readonly delivery = new KeyDelivery({
    kmeId: 'kme-a',
    directory: this.directory,
    store: this.store,
    now: this.now,
    observer: this.observer,
  })

  sae(saeId: string): LocalSae {
    const sae = this.directory.local(saeId)
    if (!sae) throw new TypeError(`no SAE ${saeId}`)
    return sae
  }

  /** Deliveries that any destination issued. */
  get issued(): number {
    return [this.here, this.overB, this.overC].reduce(
      (sum, { requests }) => sum + requests.length,
      0,
    )
  }

  #destination(targetKmeId: string): FakeDestination {
    return new FakeDestination({ targetKmeId, store: this.store, now: this.now })
  }

  #locate(saeId: string): SaeLocation {
    const local = this.directory.local(saeId)
    if (local) return { kind: 'here', sae: local }
    const sae = { saeId, registrationId: 'f'.repeat(32) }
    if (saeId === 'sae-r1' || saeId === 'sae-r2') {
      return { kind: 'remote', sae, destination: this.overB }
    }
    if (saeId === 'sae-q') return { kind: 'remote', sae, destination: this.overC }
    if (saeId === 'sae-late') return { kind: 'undecided' }
    return { kind: saeId === 'sae-twice' ? 'ambiguous' : 'unknown' }
  }
}
