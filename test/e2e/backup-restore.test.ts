import { copyFile, rm } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { runCli } from '../cli/cli-fixture.ts'
import { withKmePair, type KmePair } from '../helpers/kme-pair.ts'
import type { KmeSite } from '../helpers/kme-site.ts'
import { patiently } from '../helpers/patiently.ts'

const LONG_MS = 180_000

const idOf = (site: KmeSite): string => site.kmeId.replace('kme', 'sae')

/** Draws keys at one site for the SAE at the other; adds their bytes to `issued`, none of which may be there. */
const draw = async (
  from: KmeSite,
  to: KmeSite,
  issued: Set<string>,
): Promise<readonly string[]> => {
  const master = await from.sae(idOf(from))
  const ids: string[] = []
  await patiently(async () => (await from.link()).keys.deliverable >= 64, `keys at ${from.kmeId}`)
  for (let call = 0; call < 4; call += 1) {
    for (const { key, key_ID: id } of await master.getKey(idOf(to), { number: 16, size: 256 })) {
      const bytes = key.toString('base64')
      expect(issued.has(bytes)).toBe(false)
      issued.add(bytes)
      ids.push(id)
    }
  }
  return ids
}

const fetchAll = async (
  at: KmeSite,
  from: KmeSite,
  ids: readonly string[],
  issued: Set<string>,
) => {
  const slave = await at.sae(idOf(at))
  const keys = await slave.getKeysWithIds(idOf(from), ids)
  for (const { key } of keys) expect(issued.has(key.toString('base64'))).toBe(true)
}

const alarmsAt = async (site: KmeSite): Promise<readonly string[]> =>
  (await site.admin.status()).alarms.map(({ name }) => name)

const epochOf = async (site: KmeSite): Promise<number> => (await site.link()).epoch?.counter ?? 0

/** Both ends have begun the epoch after this one, and each says why. */
const untilRenewed = async ({ a, b }: KmePair, epoch: number): Promise<void> => {
  for (const site of [a, b]) {
    await patiently(async () => (await epochOf(site)) > epoch, `a new epoch at ${site.kmeId}`)
    await site.ready()
  }
}

const database = (pair: KmePair, site: KmeSite): string => pair.lab.path(site.kmeId, 'keyspring.db')

test(
  'a KME that is restored from a backup goes on with new key by itself, and nothing of before is issued again',
  () =>
    withKmePair({ simulator: { secretKeyRateBps: 4_000_000 } }, async (pair) => {
      const { a, b } = pair
      const issued = new Set<string>()
      await draw(a, b, issued)
      const out = pair.lab.path('kme-b.ksb')
      const backup = ['store', 'backup', '-c', b.configFile, '--out', out]
      const running = await runCli(backup)
      expect(running).toMatchObject({ code: 1, out: '' })
      expect(running.err).toMatch(/is in use by another process.*where that is the KME, stop it/)
      await b.end('SIGTERM')
      expect(await runCli(backup)).toMatchObject({ code: 0, err: '' })
      await b.start()
      await Promise.all([a.ready(), b.ready()])
      const atA = await draw(b, a, issued)
      await draw(a, b, issued)
      await draw(b, a, issued)
      const epoch = await epochOf(a)

      await b.end('SIGKILL')
      const restore = ['store', 'restore', '-c', b.configFile, '--from', out]
      expect((await runCli(restore)).err).toContain('--replace puts it aside')
      expect(await runCli([...restore, '--replace'])).toMatchObject({ code: 0, err: '' })
      await b.start()
      await untilRenewed(pair, epoch)
      expect(await alarmsAt(a)).toContain('peer-restored')
      expect(await alarmsAt(b)).toContain('self-restored')
      // What the KME that was not restored holds for its SAEs is still theirs.
      await fetchAll(a, b, atA, issued)
      for (const [from, to] of [[a, b] as const, [b, a] as const]) {
        const ids = await draw(from, to, issued)
        await fetchAll(to, from, ids, issued)
      }
    }),
  LONG_MS,
)

test(
  'a database file that is copied back by hand is noticed at the start, at one KME or at both',
  () =>
    withKmePair({ simulator: { secretKeyRateBps: 4_000_000 } }, async (pair) => {
      const { a, b } = pair
      const issued = new Set<string>()
      for (const copied of [[b], [a, b]]) {
        await draw(a, b, issued)
        await Promise.all(copied.map((site) => site.end('SIGTERM')))
        for (const site of copied) {
          await copyFile(database(pair, site), pair.lab.path(`${site.kmeId}.copy`))
          await site.start()
        }
        await Promise.all([a.ready(), b.ready()])
        await draw(a, b, issued)
        await draw(b, a, issued)
        const epoch = await epochOf(a)
        await Promise.all(copied.map((site) => site.end('SIGTERM')))
        for (const site of copied) {
          await rm(`${database(pair, site)}-wal`, { force: true })
          await copyFile(pair.lab.path(`${site.kmeId}.copy`), database(pair, site))
          await site.start()
        }
        await untilRenewed(pair, epoch)
        for (const site of copied) expect(await alarmsAt(site)).toContain('self-restored')
        for (const [from, to] of [[a, b] as const, [b, a] as const]) {
          await fetchAll(to, from, await draw(from, to, issued), issued)
        }
      }
    }),
  LONG_MS,
)
