import { describe, expect, jest, test } from '@jest/globals'
import { systemClock, systemRandom } from '../../src/support/system-clock.ts'
import { KmeError } from '../../src/errors.ts'
import type { LinkParts } from '../../src/links/link-parts.ts'
import { PushDriver } from '../helpers/push-driver.ts'
import { RecordingObserver } from '../helpers/recording-observer.ts'
import { selfLinkSettings } from '../helpers/self-link-settings.ts'
import { SelfLink } from '../../src/links/self-link.ts'
import type { Store } from '../../src/stores/store.ts'
import { eventually } from '../helpers/eventually.ts'
import { keyIdOf, splitKeyId } from '../../src/model/key-id.ts'
import { ledgerDifference } from '../../src/model/ledger.ts'
import { openMemoryStore } from '../../src/stores/memory/memory-store.ts'
import { randomBytes } from 'node:crypto'

const NOW = { runningMs: 1, wallMs: 0 }
const LINK_ID = 'self'

interface Bench extends AsyncDisposable {
  readonly store: Store
  readonly link: SelfLink
  readonly drivers: readonly PushDriver[]
  readonly observer: RecordingObserver
}

const makeSelfLink = async (roles: readonly ('leader' | 'follower' | 'both')[]): Promise<Bench> => {
  const store = openMemoryStore({ random: systemRandom })
  const saes = await store.registerSaes(['m', 's'])
  const drivers = roles.map(() => new PushDriver())
  const observer = new RecordingObserver()
  const parts: LinkParts = {
    settings: selfLinkSettings(
      LINK_ID,
      'kme',
      roles.map((role, i) => ({
        deviceId: 'd',
        role,
        settleMs: 100,
        createDriver: () => drivers[i] ?? new PushDriver(),
      })),
    ),
    store,
    clock: systemClock,
    random: systemRandom,
    now: () => NOW,
    observer,
    ownSaes: () => saes,
    fatal: () => undefined,
  }
  const link = await SelfLink.open(parts)
  link.start()
  await eventually(() => link.waitingFor === '' && drivers.every((driver) => driver.isOpen))
  return {
    store,
    link,
    drivers,
    observer,
    [Symbol.asyncDispose]: async () => {
      await link.stop()
      await store.close()
    },
  }
}

const issue = async ({ store, link }: Bench, keyCount = 1) => {
  const { saes } = await store.registerSaes(['m', 's'])
  const [master, slave] = saes
  if (!master || !slave) throw new Error('two SAEs')
  const issued = await link.destination.issue({
    master,
    localSlaves: [slave],
    remoteSlaves: [],
    keyLengthBytes: 32,
    keyCount,
    maxAgeMs: null,
  })
  return { issued, slave }
}

const available = ({ link }: Bench): number => link.destination.deliverableKeys(32)

describe('a link of a KME with itself', () => {
  test('delivers the key of one source to SAEs that are both registered here, from both lanes', async () => {
    await using bench = await makeSelfLink(['both'])
    const material = randomBytes(256)
    await bench.drivers[0]?.push({ vendorId: '1', material })
    await eventually(() => available(bench) === 8)
    const { issued, slave } = await issue(bench, 4)
    const { issued: rest } = await issue(bench, 4)
    expect(Buffer.concat([issued.material, rest.material]).equals(material)).toBe(true)
    const fetched = await bench.store.fetchKeys(
      { sae: slave, masterSaeId: 'm', keys: [splitKeyId(keyIdOf(issued.deliveryId, 0))] },
      NOW,
    )
    expect(fetched).toMatchObject({ outcome: 'fetched' })
    await expect(issue(bench)).rejects.toMatchObject({ code: 'KEYS_EXHAUSTED' })
    const { counters } = await bench.store.recountLedger(LINK_ID)
    expect(ledgerDifference(counters)).toBe(0)
    expect(counters.bytes.sacrificed).toBe(0)
  })

  test('goes on where the store could not be read just after key had come', async () => {
    await using bench = await makeSelfLink(['both'])
    const full = new KmeError('STORE_FAILED', 'the disk is full')
    jest.spyOn(bench.store, 'readLink').mockRejectedValueOnce(full)
    await bench.drivers[0]?.push({ vendorId: '1', material: randomBytes(256) })
    await eventually(() => available(bench) === 8)
    await issue(bench, 4)
  })

  test('whose store was put back ends its epoch: old key is dropped, devices open afresh, and it goes on', async () => {
    await using bench = await makeSelfLink(['both'])
    const { store, link, drivers, observer } = bench
    const old = randomBytes(512)
    await drivers[0]?.push({ vendorId: '1', material: old })
    await eventually(() => available(bench) === 16)
    await issue(bench, 4)
    const opened: boolean[] = []
    const [driver] = drivers
    if (!driver) throw new TypeError('a driver')
    const open = driver.open.bind(driver)
    driver.open = async (context, options) => {
      opened.push(options?.afresh ?? false)
      await open(context)
    }
    const { generation } = await store.readStanding()
    await store.becomeRestored(generation, NOW)
    await eventually(() => observer.names().includes('self-restored'), 'the alarm')
    await eventually(() => link.waitingFor === '' && opened.length > 0 && driver.isOpen)
    expect(opened).toEqual([true])
    expect((await store.readLink(LINK_ID)).epoch?.counter).toBe(2)
    expect(available(bench)).toBe(0)
    await expect(issue(bench)).rejects.toMatchObject({ code: 'KEYS_EXHAUSTED' })
    await driver.push({ vendorId: '1', material: randomBytes(256) })
    await eventually(() => available(bench) === 8)
    const { issued } = await issue(bench, 4)
    expect(old.includes(issued.material)).toBe(false)
    const { counters } = await store.recountLedger(LINK_ID)
    expect(ledgerDifference(counters)).toBe(0)
  })

  test('compares the two ends of a device directly, and quarantines what differs', async () => {
    await using bench = await makeSelfLink(['leader', 'follower'])
    const [leader, follower] = bench.drivers
    const good = randomBytes(64)
    const bad = randomBytes(64)
    const twisted = Buffer.from(bad)
    twisted[63] = (twisted[63] ?? 0) ^ 1
    await leader?.push({ vendorId: 'good', material: good }, { vendorId: 'bad', material: bad })
    expect(available(bench)).toBe(0)
    await follower?.push(
      { vendorId: 'good', material: good },
      { vendorId: 'bad', material: twisted },
    )
    await eventually(() => available(bench) === 2)
    expect(bench.observer.names()).toContain('ref-reused')
    const { counters } = await bench.store.recountLedger(LINK_ID)
    expect(counters.bytes).toMatchObject({ quarantined: 64, ownLane: 64 })
    expect(ledgerDifference(counters)).toBe(0)
  })
})
