import { expect, test } from '@jest/globals'
import { type KmePair, type KmePairOptions, withKmePair } from '../helpers/kme-pair.ts'
import type { KmeSite } from '../helpers/kme-site.ts'
import { isBalanced, settledBooks } from './books.ts'
import { type Pairing, exchangeKeys } from './key-traffic.ts'
import { hasRepeatedWindow } from './repeated-window.ts'

const KEY_COUNT = 10_000
const MOST_KEYS_PER_CALL = 128
const LONG_MS = 180_000

const SAES_A = ['sae-a1', 'sae-a2', 'sae-a3']
const SAES_B = ['sae-b1', 'sae-b2', 'sae-b3']

const OPTIONS: KmePairOptions = {
  saesA: SAES_A,
  saesB: SAES_B,
  // On a busy machine a confirmation may be slow; a 503 would spend key that no SAE got.
  link: { confirmDeadlineMs: 30_000 },
  // A megabyte and more a second: what limits is the KMEs.
  simulator: { secretKeyRateBps: 1_000_000, speedUp: 16, blockBytes: 16_384 },
}

const pairingOf = async (
  from: KmeSite,
  masterId: string,
  to: KmeSite,
  slaveId: string,
): Promise<Pairing> => ({
  masterId,
  master: await from.sae(masterId),
  slaveId,
  slave: await to.sae(slaveId),
})

/** Each SAE of one KME is master of one at the other, and slave of another: both directions at once. */
const pairingsOf = ({ a, b }: KmePair): Promise<readonly Pairing[]> =>
  Promise.all(
    SAES_A.flatMap((saeA, i) => {
      const next = (i + 1) % SAES_B.length
      return [pairingOf(a, saeA, b, SAES_B[i] ?? ''), pairingOf(b, SAES_B[next] ?? '', a, saeA)]
    }),
  )

const totalBytes = (keys: readonly Buffer[]): number =>
  keys.reduce((sum, { length }) => sum + length, 0)

test(
  'two KMEs deliver 10,000 keys of mixed sizes in both directions at once, and each key is the same at both ends',
  () =>
    withKmePair(OPTIONS, async (pair) => {
      const { keys, lostAnswers } = await exchangeKeys(await pairingsOf(pair), {
        keyCount: KEY_COUNT,
      })
      expect(keys.length).toBeGreaterThanOrEqual(KEY_COUNT)
      expect(lostAnswers).toBe(0)
      expect(hasRepeatedWindow(keys)).toBe(false)
      const books = await settledBooks(pair)
      for (const end of [books.a, books.b]) {
        expect(isBalanced(end)).toBe(true)
        // To the byte what the SAEs got, and nothing is left for one that has fetched it.
        expect(end.ledger.bytes).toMatchObject({
          delivered: totalBytes(keys),
          held: 0,
          expired: 0,
          quarantined: 0,
        })
      }
    }),
  LONG_MS,
)

test(
  'with each KME killed once in the middle, every key that a master received is fetched by its slave, and no byte is in two keys',
  () =>
    withKmePair(OPTIONS, async (pair) => {
      const pairings = await pairingsOf(pair)
      const { keys, lostAnswers } = await exchangeKeys(pairings, {
        keyCount: KEY_COUNT,
        meanwhile: async (reached) => {
          await reached(0.25)
          await pair.a.restart('SIGKILL')
          await reached(0.5)
          await pair.b.restart('SIGKILL')
        },
      })
      expect(keys.length + lostAnswers).toBeGreaterThanOrEqual(KEY_COUNT)
      // At most the calls that were under way at the two moments.
      expect(lostAnswers).toBeLessThanOrEqual(2 * pairings.length * MOST_KEYS_PER_CALL)
      expect(hasRepeatedWindow(keys)).toBe(false)
      const books = await settledBooks(pair)
      for (const end of [books.a, books.b]) {
        expect(end.life).toBe(2)
        expect(isBalanced(end)).toBe(true)
        // More than the SAEs got: answers that were lost count as delivered.
        expect(end.ledger.bytes.delivered).toBeGreaterThanOrEqual(totalBytes(keys))
        expect(end.ledger.bytes.quarantined).toBe(0)
      }
    }),
  LONG_MS,
)
