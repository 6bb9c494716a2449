import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KmeEvent, Observer } from '../../src/ports/observer.ts'
import type { Clock } from '../../src/ports/clock.ts'
import { systemClock } from '../../src/support/system-clock.ts'
import { TrustStore } from '../../src/identity/trust-store.ts'
import type { CaOptions } from '../../src/identity/ca-bundle.ts'

export interface TrustParts extends AsyncDisposable {
  readonly dir: string
  readonly events: KmeEvent[]
  /** Offset of the wall clock in milliseconds. */
  readonly clock: Clock & { offsetMs: number }
  file(name: string, content: string): Promise<string>
  load(cas: readonly CaOptions[]): Promise<TrustStore>
}

/** A folder for PEM files, a wall clock that a test may move, and an observer that keeps what it is told. */
export const trustParts = async (): Promise<TrustParts> => {
  const dir = await mkdtemp(join(tmpdir(), 'keyspring-identity-'))
  const events: KmeEvent[] = []
  const observer: Observer = {
    event: (event) => void events.push(event),
    alarm: () => {},
    clear: () => {},
  }
  const clock = {
    ...systemClock,
    offsetMs: 0,
    wallMs: (): number => Date.now() + clock.offsetMs,
  }
  return {
    dir,
    events,
    clock,
    file: async (name, content) => {
      const path = join(dir, name)
      await writeFile(path, content)
      return path
    },
    load: (cas) => TrustStore.load({ cas, clock, observer }),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}
