import { KmeError, messageOf } from '../errors.ts'
import type { Clock } from '../ports/clock.ts'
import type { Observer } from '../ports/observer.ts'
import { readRegularFile } from '../support/secret-file.ts'
import type { CaBundle } from './ca-bundle.ts'
import { fileSignature } from './file-signature.ts'
import { type RevocationList, readRevocationLists } from './revocation-list.ts'

const MAX_CRL_BYTES = 67_108_864
const WARNING_AHEAD_MS = 24 * 3_600_000

interface Content {
  readonly pem: string
  readonly lists: ReadonlyMap<string, RevocationList>
}

const readContent = async (file: string, bundle: CaBundle): Promise<Content> => {
  const pem = (await readRegularFile(file, MAX_CRL_BYTES)).toString('latin1')
  const issuers = bundle.certificates.map(({ certificate }) => certificate)
  const lists = new Map<string, RevocationList>()
  for (const list of await readRevocationLists(file, pem, issuers)) {
    // Of two lists of one signer the newer counts.
    const other = lists.get(list.issuer)
    if (other === undefined || other.thisUpdateMs < list.thisUpdateMs) lists.set(list.issuer, list)
  }
  return { pem, lists }
}

/**
 * An old list put back, by mistake or on purpose, would let revoked certificates in again. Lists of
 * CA certificates that are no longer in the bundle may go.
 */
const refuseOlder = (file: string, bundle: CaBundle, old: Content, fresh: Content): void => {
  const issuers = new Set(bundle.certificates.map(({ fingerprint }) => fingerprint))
  for (const [issuer, list] of old.lists) {
    if (!issuers.has(issuer)) continue
    const next = fresh.lists.get(issuer)
    if (next === undefined || next.thisUpdateMs < list.thisUpdateMs) {
      throw new KmeError('CONFIG_INVALID', `${file}: it is older than the revocation list in use`)
    }
  }
}

/** The revocation lists of one CA, read again when their file changes. */
export class CrlFile {
  readonly #file: string
  readonly #bundle: CaBundle
  readonly #clock: Clock
  readonly #observer: Observer
  #signature: string
  #content: Content
  /** What was said last about the time that is left, so that it is said once. */
  #said = ''

  private constructor(
    file: string,
    parts: { bundle: CaBundle; clock: Clock; observer: Observer },
    read: { signature: string; content: Content },
  ) {
    this.#file = file
    this.#bundle = parts.bundle
    this.#clock = parts.clock
    this.#observer = parts.observer
    this.#signature = read.signature
    this.#content = read.content
  }

  /**
   * `former`: what was in use for this CA until now.
   * @throws KmeError CONFIG_INVALID where the file cannot be used
   */
  static async open(
    file: string,
    parts: { bundle: CaBundle; clock: Clock; observer: Observer },
    former?: CrlFile | null,
  ): Promise<CrlFile> {
    // Before the content: a change in between is seen as one later.
    const signature = await fileSignature(file)
    const content = await readContent(file, parts.bundle)
    const opened = new CrlFile(file, parts, { signature, content })
    if (former) {
      refuseOlder(file, parts.bundle, former.#content, content)
      opened.#said = former.#said
    }
    opened.#warnAhead()
    return opened
  }

  /** By the fingerprint of the CA certificate that signed them. */
  get lists(): ReadonlyMap<string, RevocationList> {
    return this.#content.lists
  }

  /** True where another list is in use now. A file that cannot be used leaves the old one in use. */
  async refresh(): Promise<boolean> {
    const signature = await fileSignature(this.#file)
    const changed = signature !== this.#signature && (await this.#replace(signature))
    this.#warnAhead()
    return changed
  }

  async #replace(signature: string): Promise<boolean> {
    this.#signature = signature
    try {
      const fresh = await readContent(this.#file, this.#bundle)
      refuseOlder(this.#file, this.#bundle, this.#content, fresh)
      const changed = fresh.pem !== this.#content.pem
      this.#content = fresh
      if (changed) this.#event('info', 'identity.crl.changed', 'a new revocation list is in use')
      return changed
    } catch (error) {
      this.#event(
        'error',
        'identity.crl.unusable',
        `${messageOf(error)}; the list read before stays in use`,
      )
      return false
    }
  }

  #warnAhead(): void {
    const now = this.#clock.wallMs()
    const nextMs = Math.min(...[...this.lists.values()].map((list) => list.nextUpdateMs))
    const stage = nextMs <= now ? 'expired' : nextMs - now <= WARNING_AHEAD_MS ? 'soon' : 'fresh'
    const said = `${stage} ${String(nextMs)}`
    if (said === this.#said) return
    this.#said = said
    if (stage === 'fresh') return
    const when = new Date(nextMs).toISOString()
    const name = stage === 'expired' ? 'identity.crl.expired' : 'identity.crl.expires-soon'
    const verb = stage === 'expired' ? 'was' : 'is'
    this.#event(
      stage === 'expired' ? 'error' : 'warn',
      name,
      `${this.#file}: the next revocation list ${verb} due at ${when}; put a fresh one there`,
    )
  }

  #event(level: 'info' | 'warn' | 'error', name: string, message: string): void {
    const { name: ca } = this.#bundle.options
    this.#observer.event({ level, name, message, fields: { ca, file: this.#file } })
  }
}
