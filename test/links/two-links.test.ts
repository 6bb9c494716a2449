import { randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { SelfLink } from '../../src/links/self-link.ts'
import { systemClock, systemRandom } from '../../src/support/system-clock.ts'
import { CopiedSite, startBoth } from '../helpers/copied-pair.ts'
import { eventually } from '../helpers/eventually.ts'
import { agreed } from '../helpers/link-pair.ts'
import { PushDriver } from '../helpers/push-driver.ts'
import { RecordingObserver } from '../helpers/recording-observer.ts'
import { selfLinkSettings } from '../helpers/self-link-settings.ts'

const SELF = 'self'
const KEY_BYTES = 32

interface Own {
  readonly link: SelfLink
  readonly drivers: PushDriver[]
  readonly observer: RecordingObserver
}

/** A link of that KME with itself, on the store of its link with the other. */
const openSelfLink = async ({ site }: CopiedSite): Promise<Own> => {
  const drivers: PushDriver[] = []
  const observer = new RecordingObserver()
  const link = await SelfLink.open({
    settings: selfLinkSettings(SELF, site.options.kmeId, [
      {
        deviceId: 'd',
        role: 'both',
        settleMs: 100,
        createDriver: () => {
          const driver = new PushDriver()
          drivers.push(driver)
          return driver
        },
      },
    ]),
    store: site.store,
    clock: systemClock,
    random: systemRandom,
    now: () => ({ runningMs: 1, wallMs: 0 }),
    observer,
    ownSaes: () => site.saes,
    fatal: () => undefined,
  })
  link.start()
  await eventually(() => link.waitingFor === '' && drivers.at(-1)?.isOpen === true)
  return { link, drivers, observer }
}

const available = ({ link }: Own): number => link.destination.deliverableKeys(KEY_BYTES)

const issue = async ({ site }: CopiedSite, { link }: Own): Promise<Buffer> => {
  const { material } = await link.destination.issue({
    master: site.sae,
    localSlaves: [site.sae],
    remoteSlaves: [],
    keyLengthBytes: KEY_BYTES,
    keyCount: 1,
    maxAgeMs: null,
  })
  return material
}

test('a store that is put back is noticed by one of its links, and all of them begin an epoch with new key', async () => {
  await using a = await CopiedSite.make({ kmeId: 'kme-a', peerKmeId: 'kme-b', sae: 'sae-a' })
  await using b = await CopiedSite.make({ kmeId: 'kme-b', peerKmeId: 'kme-a', sae: 'sae-b' })
  startBoth(a, b)
  await agreed(a.site, b.site)
  const first = await openSelfLink(b)
  await first.drivers.at(-1)?.push({ vendorId: '1', material: randomBytes(4 * KEY_BYTES) })
  await eventually(() => available(first) === 4)
  await first.link.stop()
  await b.putAside('old')
  const used = await openSelfLink(b)
  expect(available(used)).toBe(4)
  const issued = await issue(b, used)
  startBoth(a, b)
  await agreed(a.site, b.site)
  await used.link.stop()
  await a.reopen()
  await b.putBack('old')

  // Its own link has nobody who could tell it; the other one hears it from its peer.
  const back = await openSelfLink(b)
  startBoth(a, b)
  await agreed(a.site, b.site)
  await eventually(() => back.observer.names().includes('self-restored'), 'the alarm')
  await eventually(() => back.link.waitingFor === '' && back.drivers.at(-1)?.isOpen === true)
  expect(available(back)).toBe(0)
  expect((await b.site.store.readLink(SELF)).epoch?.counter).toBe(2)
  const material = randomBytes(4 * KEY_BYTES)
  await back.drivers.at(-1)?.push({ vendorId: '2', material })
  await eventually(() => available(back) === 4)
  const next = await issue(b, back)
  expect(material.includes(next)).toBe(true)
  expect(next.equals(issued)).toBe(false)
  await back.link.stop()
})
