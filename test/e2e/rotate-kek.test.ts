import { readFile, writeFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { beginKekReplacement } from '../../src/sealing/kek-replacement.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { type KmePair, withKmePair } from '../helpers/kme-pair.ts'
import { KmeProcess, runKeyspring } from '../helpers/kme-process.ts'
import type { KmeSite } from '../helpers/kme-site.ts'

const LONG_MS = 120_000
const KEYS_BETWEEN = 40

interface Load {
  /** Resolves when so many more keys were fetched. */
  more(keys: number): Promise<void>
  /** @throws what the first request that failed threw */
  stop(): Promise<number>
}

/** Masters at A that draw and slaves at B that fetch, without a second try. */
const startLoad = async ({ a, b }: KmePair, workers: number): Promise<Load> => {
  const [master, slave] = [await a.sae('sae-a'), await b.sae('sae-b')]
  let [fetched, stopped] = [0, false]
  const work = async (): Promise<void> => {
    while (!stopped) {
      const [drawn] = await master.getKey('sae-b', { number: 1, size: 256 })
      const [same] = await slave.getKeysWithIds('sae-a', [drawn!.key_ID])
      if (!same!.key.equals(drawn!.key)) throw new Error('the ends have different keys')
      fetched += 1
    }
  }
  const working = Promise.all(Array.from({ length: workers }, work)).finally(() => {
    stopped = true
  })
  // Whoever stops the load hears of it.
  working.catch(() => undefined)
  return {
    async more(keys) {
      const enough = fetched + keys
      while (fetched < enough && !stopped) await new Promise((later) => setTimeout(later, 20))
    },
    async stop() {
      stopped = true
      await working
      return fetched
    },
  }
}

const kekIdsOf = async (site: KmeSite): Promise<readonly string[]> =>
  (await readFile(kekFileOf(site), 'latin1'))
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' ')[1] ?? '')

const kekFileOf = ({ configFile, kmeId }: KmeSite): string =>
  configFile.replace(/[^/]+$/, `${kmeId}/kek.key`)

test(
  'the KEK of a KME under load is replaced without a restart and without a request that fails, and the former one opens nothing',
  () =>
    withKmePair({ simulator: { secretKeyRateBps: 1_000_000, blockBytes: 4096 } }, async (pair) => {
      const { certFile, keyFile } = await pair.lab.certificate('operator', 'operator')
      const rotate = async ({ configFile }: KmeSite): Promise<readonly string[]> => {
        const words = ['-c', configFile, '--cert', certFile, '--key', keyFile, '--json']
        const { code, out, err } = await runKeyspring('store', 'rotate-kek', ...words)
        if (code !== 0) throw new Error(err.join('\n'))
        const { formerKekId, kekId } = JSON.parse(out.join('\n')) as Record<string, string>
        return [formerKekId ?? '', kekId ?? '']
      }
      const formerFile = await readFile(kekFileOf(pair.a))
      const processes = pair.sites.map(({ process }) => process)
      const load = await startLoad(pair, 4)
      for (const site of [pair.a, pair.b, pair.a]) {
        await load.more(KEYS_BETWEEN)
        const [before] = await kekIdsOf(site)
        const [formerKekId, kekId] = await rotate(site)
        expect(formerKekId).toBe(before)
        expect(await kekIdsOf(site)).toEqual([kekId])
      }
      await load.more(KEYS_BETWEEN)
      expect(await load.stop()).toBeGreaterThanOrEqual(4 * KEYS_BETWEEN)
      expect(pair.sites.map(({ process }) => process)).toEqual(processes)

      // A command that was cut off, and then the KME: it starts with both KEKs, and doing it again finishes it.
      const begun = await beginKekReplacement(kekFileOf(pair.a), { random: systemRandom })
      await pair.a.restart('SIGKILL')
      await pair.a.ready()
      expect(await kekIdsOf(pair.a)).toEqual([begun.formerKekId, begun.kekId])
      expect(await rotate(pair.a)).toEqual([begun.formerKekId, begun.kekId])
      expect(await kekIdsOf(pair.a)).toEqual([begun.kekId])
      await pair.a.restart('SIGKILL')
      await pair.a.ready()
      const after = await startLoad(pair, 1)
      await after.more(1)
      expect(await after.stop()).toBeGreaterThanOrEqual(1)
      expect((await pair.a.admin.alarms()).map(({ name }) => name)).not.toContain('self-restored')

      await pair.a.end('SIGTERM')
      await writeFile(kekFileOf(pair.a), formerFile)
      const refused = KmeProcess.serve(pair.a.configFile)
      expect((await refused.ended).code).toBe(1)
      expect(refused.err.join('\n')).toMatch(/is wrapped under KEK [0-9a-f]{16}, but the KEK file/)
    }),
  LONG_MS,
)
