import type { Random } from '../../ports/clock.ts'
import { Store } from '../store.ts'
import { MemoryBackend } from './memory-backend.ts'

export interface MemoryStoreParts {
  readonly random: Random
}

/** A store that forgets everything when it is closed: for tests, and for trying things out. */
export const openMemoryStore = ({ random }: MemoryStoreParts): Store =>
  new Store(new MemoryBackend(random), random)
