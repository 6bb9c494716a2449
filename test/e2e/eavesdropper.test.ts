import { expect, test } from '@jest/globals'
import { isKmeError } from '../../src/errors.ts'
import { patiently } from '../helpers/patiently.ts'
import { withKmePair } from '../helpers/kme-pair.ts'
import type { KmeSite } from '../helpers/kme-site.ts'
import { drawAll } from './draining.ts'

const LONG_MS = 120_000

const deviceOf = async (site: KmeSite) => {
  const { devices } = await site.link()
  const [device] = devices
  if (!device) throw new TypeError('no device')
  return { ...device, qber: device.qber ?? NaN, secretKeyRateBps: device.secretKeyRateBps ?? NaN }
}

/** No block that was made before is still on its way to the lanes. */
const isQuiet = async (site: KmeSite): Promise<boolean> => {
  const { bufferedBytes } = await deviceOf(site)
  return bufferedBytes === 0 && (await site.link()).ledger.bytes.unverified === 0
}

test(
  'an eavesdropper lowers the key rate and raises the QBER; above the threshold no key comes and both KMEs say why; without one keys flow again',
  () =>
    withKmePair(
      // A small pool: what is left of it is drawn soon.
      {
        link: { poolKeys: 1000, confirmDeadlineMs: 30_000 },
        simulator: { secretKeyRateBps: 400_000, blockBytes: 1024 },
      },
      async ({ a, b }) => {
        const quiet = await deviceOf(a)
        expect(quiet.provenance).toBe('simulated')
        const status = await (await a.sae('sae-a')).status('sae-b')
        expect(status.status_extension).toEqual({ key_sources: ['simulated'] })

        await a.control('eavesdropper', 0.1)
        for (const site of [a, b]) {
          await patiently(async () => {
            const { qber, secretKeyRateBps } = await deviceOf(site)
            const isWorse = qber > quiet.qber && secretKeyRateBps < quiet.secretKeyRateBps
            return isWorse && secretKeyRateBps > 0
          }, `an eavesdropper who is noticed at ${site.kmeId}`)
        }
        expect((await deviceOf(a)).qber).toBeCloseTo(quiet.qber + 0.1 / 4, 5)

        await b.control('eavesdropper', 1)
        for (const site of [a, b]) {
          await patiently(async () => {
            const { qber, secretKeyRateBps } = await deviceOf(site)
            return qber > 0.11 && secretKeyRateBps === 0
          }, `no key rate at ${site.kmeId}`)
        }
        const directions = [
          { site: a, masterId: 'sae-a', slaveId: 'sae-b' },
          { site: b, masterId: 'sae-b', slaveId: 'sae-a' },
        ]
        await patiently(async () => {
          const wasQuiet = (await isQuiet(a)) && (await isQuiet(b))
          const drawn = [await drawAll(directions[0]!), await drawAll(directions[1]!)]
          return wasQuiet && drawn.every(({ length }) => length === 0)
        }, 'an empty pool')
        for (const { site, masterId, slaveId } of directions) {
          await patiently(async () => {
            const { ready, reasons } = await site.admin.ready()
            return (
              !ready && reasons.some(({ message }) => /QBER .* above the threshold/.test(message))
            )
          }, `a reason at ${site.kmeId}`)
          const master = await site.sae(masterId)
          expect((await master.status(slaveId)).stored_key_count).toBe(0)
          const refusal: unknown = await master.getKey(slaveId).catch((error: unknown) => error)
          expect(isKmeError(refusal, 'NOT_READY')).toBe(true)
        }

        await a.control('eavesdropper', 0)
        await Promise.all([a.ready(), b.ready()])
        const keys = await (await a.sae('sae-a')).getKey('sae-b', { number: 4 })
        const ids = keys.map(({ key_ID }) => key_ID)
        const fetched = await (await b.sae('sae-b')).getKeysWithIds('sae-a', ids)
        expect(fetched.map(({ key }) => key)).toEqual(keys.map(({ key }) => key))
      },
    ),
  LONG_MS,
)
