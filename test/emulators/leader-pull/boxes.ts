import { randomBytes, randomUUID } from 'node:crypto'

/** What a box says to who asks for a key by its ID. */
export type BoxAnswer =
  | { readonly kind: 'key'; readonly key: Buffer }
  /** Definite: unknown, or given out already. */
  | { readonly kind: 'refused' }
  /** No answer: nobody knows what the box did. */
  | { readonly kind: 'lost' }

/**
 * Two boxes that share key, as devices of the leader-pull family do: one end draws a key and learns
 * its ID, the other can only ask by that ID, and gets each key once.
 */
export class BoxPair {
  readonly #keyBytes: number
  #ready: { readonly id: string; readonly key: Buffer }[] = []
  readonly #drawn = new Map<string, Buffer>()
  /** The next answers by ID that get lost after the box gave the key out. */
  losing = 0
  /** The next questions by ID that do not reach the box. */
  unreachable = 0
  /** IDs that the second box refuses for good. */
  readonly refusing = new Set<string>()

  constructor(options: { readonly keyBytes: number }) {
    this.#keyBytes = options.keyBytes
  }

  /** Makes keys; returns their IDs. */
  make(count: number): readonly string[] {
    const keys = Array.from({ length: count }, () => ({
      id: randomUUID(),
      key: randomBytes(this.#keyBytes),
    }))
    this.#ready.push(...keys)
    return keys.map(({ id }) => id)
  }

  get readyKeys(): number {
    return this.#ready.length
  }

  /** The first box: draws the next key. */
  draw(): { readonly id: string; readonly key: Buffer } | null {
    const next = this.#ready.shift()
    if (next === undefined) return null
    this.#drawn.set(next.id, next.key)
    return { id: next.id, key: Buffer.from(next.key) }
  }

  /** The second box: gives out a drawn key, once. */
  ask(id: string): BoxAnswer {
    if (this.unreachable > 0) {
      this.unreachable -= 1
      return { kind: 'lost' }
    }
    const key = this.#drawn.get(id)
    if (key === undefined || this.refusing.has(id)) return { kind: 'refused' }
    this.#drawn.delete(id)
    if (this.losing > 0) {
      this.losing -= 1
      return { kind: 'lost' }
    }
    return { kind: 'key', key }
  }

  /** The first box throws away what was not drawn, the second what was not asked for. */
  clear(): void {
    this.#ready = []
    this.#drawn.clear()
  }
}
