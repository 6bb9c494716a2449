import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { factory } from '../../src/drivers/key-files/index.ts'
import { keyFilesOptionsSchema } from '../../src/drivers/key-files/options.ts'
import { HealthTests } from '../../src/links/health-tests.ts'
import type { QkdDriver } from '../../src/ports/qkd-driver.ts'
import { describeQkdDriver } from '../contracts/qkd-driver.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import {
  fakeContext,
  realRandom,
  RecordingSink,
  type FakeContext,
} from '../helpers/fake-driver-context.ts'
import { KeyFileFolders } from '../helpers/key-file-folders.ts'

const KEY = 32
const PLENTY = 1024 * 1024
const SMALL = { blockRecords: 16, settleMs: 200, pollMs: 100 }

describeQkdDriver('key files', async () => {
  const folders = new KeyFileFolders()
  return {
    clock: new FakeClock(),
    makeDriver: (end) =>
      factory.create(keyFilesOptionsSchema.parse({ ...SMALL, directory: folders[end] })),
    supply: async () => [folders.putBoth(randomBytes(6 * 16 * KEY))],
    dispose: async () => {
      folders.remove()
    },
  }
})

describe('key files', () => {
  let folders: KeyFileFolders
  let directory: string
  let clock: FakeClock
  let sink: RecordingSink
  let context: FakeContext
  let driver: QkdDriver

  const start = async (options: Record<string, unknown> = {}, afresh = false): Promise<void> => {
    driver = factory.create(keyFilesOptionsSchema.parse({ ...SMALL, directory, ...options }))
    context = fakeContext({ clock, sink })
    await driver.open(context, { afresh })
    await driver.start()
    driver.setDemand(PLENTY)
  }

  const rest = () => clock.advanceAsync(2000)
  const path = (name: string) => join(directory, name)
  const vendorIds = () => [...sink.blocks.values()].map(({ ref }) => ref.vendorId)

  beforeEach(() => {
    folders = new KeyFileFolders()
    directory = folders.leader
    clock = new FakeClock()
    sink = new RecordingSink()
  })

  afterEach(async () => {
    await driver.close({ drainMs: 0 })
    folders.remove()
  })

  test('a file is read as blocks named by file and first key, then overwritten and removed', async () => {
    const content = randomBytes(40 * KEY)
    folders.put(directory, 'a.cor', content)
    // What is open can be read after it was removed.
    const handle = openSync(path('a.cor'), 'r')
    await start()
    await clock.until(() => !existsSync(path('a.cor')))
    expect(vendorIds()).toEqual(['a.cor:0', 'a.cor:16', 'a.cor:32'])
    expect(Buffer.concat([...sink.blocks.values()].map(({ material }) => material))).toEqual(
      content,
    )
    expect(readFileSync(handle)).toEqual(Buffer.alloc(40 * KEY))
    closeSync(handle)
    expect(driver.status()).toMatchObject({ provenance: 'hardware', bufferedBytes: 0 })
  })

  test('nothing is removed before it is durable', async () => {
    folders.put(directory, 'a.cor', randomBytes(40 * KEY))
    sink.failing = 5
    await start()
    await clock.until(() => driver.status().state === 'down')
    expect(existsSync(path('a.cor'))).toBe(true)
    expect(sink.blocks.size).toBe(0)
    await clock.until(() => !existsSync(path('a.cor')))
    expect(sink.blocks.size).toBe(3)
    await clock.until(() => driver.status().state === 'running')
  })

  test('a half-written file waits until it stops growing', async () => {
    const content = randomBytes(48 * KEY)
    await start()
    for (let part = 0; part < 12; part += 1) {
      writeFileSync(path('a.cor'), content.subarray(0, (part + 1) * 4 * KEY))
      await clock.advanceAsync(150)
      expect(sink.offers).toBe(0)
    }
    await clock.until(() => sink.blocks.size === 3)
    expect(Buffer.concat([...sink.blocks.values()].map(({ material }) => material))).toEqual(
      content,
    )
  })

  test('a file under another name is not looked at until it is renamed into place', async () => {
    writeFileSync(path('a.cor.part'), randomBytes(16 * KEY))
    await start()
    await rest()
    expect(sink.offers).toBe(0)
    renameSync(path('a.cor.part'), path('a.cor'))
    await clock.until(() => sink.blocks.size === 1)
  })

  test.each(['delete', 'keep'])('a restart reads no key twice (%s)', async (afterRead) => {
    for (const name of ['b.cor', 'a.cor']) folders.put(directory, name, randomBytes(40 * KEY))
    await start({ afterRead })
    driver.setDemand(3 * 16 * KEY)
    await clock.until(() => sink.blocks.size === 4)
    await driver.close({ drainMs: 0 })
    await start({ afterRead })
    await clock.until(() => sink.blocks.size === 6)
    await rest()
    await driver.close({ drainMs: 0 })
    await start({ afterRead })
    await rest()
    expect(sink.outcomes).toHaveLength(6)
    expect(vendorIds()).toEqual([
      'a.cor:0',
      'a.cor:16',
      'a.cor:32',
      'b.cor:0',
      'b.cor:16',
      'b.cor:32',
    ])
    expect(existsSync(path('a.cor'))).toBe(afterRead === 'keep')
  })

  test('a file begun before the restart goes on, also when others came in between', async () => {
    folders.put(directory, 'm.cor', randomBytes(48 * KEY))
    await start()
    driver.setDemand(1)
    await clock.until(() => sink.blocks.size === 1)
    await driver.close({ drainMs: 0 })
    folders.put(directory, 'a.cor', randomBytes(16 * KEY))
    await start()
    await clock.until(() => sink.blocks.size === 4)
    expect(vendorIds()).toEqual(['m.cor:0', 'm.cor:16', 'm.cor:32', 'a.cor:0'])
    expect(sink.count('duplicate')).toBe(0)
  })

  test('a crash between storing and removing removes the file at the next start, unread', async () => {
    const content = randomBytes(16 * KEY)
    folders.put(directory, 'a.cor', content)
    await start({ afterRead: 'keep' })
    await clock.until(() => sink.blocks.size === 1)
    await driver.close({ drainMs: 0 })
    await start()
    await clock.until(() => !existsSync(path('a.cor')))
    expect(sink.outcomes).toHaveLength(1)
  })

  test('a name that comes again with other content is refused', async () => {
    folders.put(directory, 'a.cor', randomBytes(16 * KEY))
    await start({ afterRead: 'keep' })
    await clock.until(() => sink.blocks.size === 1)
    folders.put(directory, 'a.cor', randomBytes(32 * KEY))
    await clock.until(() => context.events.alarms.length > 0)
    await rest()
    expect(context.events.alarms).toEqual([
      'major: key file a.cor came again with other content: it is not read, remove it',
    ])
    expect(sink.blocks.size).toBe(1)
  })

  test('a removed name that comes again with other content is left to the sink, which knows the ref', async () => {
    folders.put(directory, 'a.cor', randomBytes(16 * KEY))
    await start()
    await clock.until(() => !existsSync(path('a.cor')))
    folders.put(directory, 'a.cor', randomBytes(64 * KEY))
    await clock.until(() => sink.count('quarantined') === 1)
    await clock.until(() => !existsSync(path('a.cor')))
    await rest()
    expect(sink.outcomes.map(({ outcome }) => outcome).slice(0, 2)).toEqual([
      'stored',
      'quarantined',
    ])
  })

  test.each(['delete', 'keep'])(
    'a biased file is quarantined, its rest is not read (%s)',
    async (quarantinedFiles) => {
      const health = new HealthTests({ random: realRandom })
      sink.decide = ({ material }) =>
        health.test('stream', material) === null ? undefined : 'quarantined'
      // Each byte is the AND or OR of random ones in turn, with a surplus of zeros: about 44 % ones.
      const size = 6400 * KEY
      const [a, b, c] = [randomBytes(size), randomBytes(size), randomBytes(size)]
      const biased = Buffer.from(a.map((byte, i) => (i % 4 === 0 ? byte & b[i]! : c[i]!)))
      folders.put(directory, 'a.cor', biased)
      folders.put(directory, 'b.cor', randomBytes(16 * KEY))
      await start({ blockRecords: 2048, quarantinedFiles })
      await clock.until(() => sink.blocks.size === 1)
      expect(vendorIds()).toEqual(['b.cor:0'])
      expect(sink.count('quarantined')).toBeGreaterThan(0)
      await clock.until(() => !existsSync(path('a.cor')))
      expect(existsSync(path('a.cor.quarantined'))).toBe(quarantinedFiles === 'keep')
      expect(context.events.alarms.join()).toContain('a.cor holds key that was quarantined')
    },
  )

  test('a part of a key at the end is left out, and said', async () => {
    const content = randomBytes(16 * KEY + 5)
    folders.put(directory, 'a.cor', content)
    await start()
    await clock.until(() => context.events.alarms.length === 1)
    expect([...sink.blocks.values()][0]?.material.equals(content.subarray(0, -5))).toBe(true)
    expect(context.events.alarms[0]).toContain('ends in 5 bytes that fill no key')
  })

  test('links, foreign kinds, open rights and large files are refused, each said once', async () => {
    const outside = join(folders.follower, 'outside')
    writeFileSync(outside, randomBytes(16 * KEY))
    symlinkSync(outside, path('a.cor'))
    mkdirSync(path('b.cor'))
    writeFileSync(path('c.cor'), randomBytes(16 * KEY))
    chmodSync(path('c.cor'), 0o666)
    linkSync(outside, path('d.cor'))
    writeFileSync(path('e.cor'), randomBytes(1000 * KEY))
    writeFileSync(path('f.cor'), randomBytes(16 * KEY))
    await start({ maxFileBytes: 100 * KEY })
    await clock.until(() => sink.blocks.size === 1)
    await rest()
    expect(vendorIds()).toEqual(['f.cor:0'])
    expect(context.events.alarms.map((alarm) => alarm.replace(/: it is not read.*/, ''))).toEqual([
      'major: key file a.cor is a symbolic link',
      'major: key file b.cor is no regular file',
      'major: key file c.cor can be written by anyone',
      'major: key file d.cor has more than one name (hard links)',
      'major: key file e.cor has 32000 bytes, more than maxFileBytes (3200)',
    ])
    expect(readFileSync(outside).every((byte) => byte === 0)).toBe(false)
  })

  test('a name that cannot be a file of key is refused, said once, and shown without its controls', async () => {
    folders.put(directory, 'key 1.cor', randomBytes(16 * KEY))
    folders.put(directory, '2030-01-01T00:00:00\u001b\u009b.cor', randomBytes(16 * KEY))
    folders.put(directory, '.half-written.cor', randomBytes(16 * KEY))
    folders.put(directory, 'f.cor', randomBytes(16 * KEY))
    await start()
    await clock.until(() => sink.blocks.size === 1)
    await rest()
    expect(vendorIds()).toEqual(['f.cor:0'])
    expect(context.events.alarms.map((alarm) => alarm.replace(/ that is over.*/, ''))).toEqual([
      'major: key file 2030-01-01T00:00:00??.cor has a name',
      'major: key file key 1.cor has a name',
    ])
  })

  test('a folder that is missing, or open to all, is one clear line at the start', async () => {
    await start()
    const tryOpen = (other: string) =>
      factory
        .create(keyFilesOptionsSchema.parse({ directory: other }))
        .open(fakeContext(), { afresh: false })
    await expect(tryOpen(path('none'))).rejects.toMatchObject({ code: 'DRIVER_FAILED' })
    mkdirSync(path('open'))
    chmodSync(path('open'), 0o777)
    await expect(tryOpen(path('open'))).rejects.toThrow(/can be written by anyone/)
  })

  test('a folder that goes away takes the device down, with one alarm, until it is back', async () => {
    await start()
    await rest()
    renameSync(directory, `${directory} away`)
    await clock.until(() => driver.status().state === 'down')
    await clock.advanceAsync(120_000)
    expect(context.events.alarms).toHaveLength(1)
    expect(driver.status().reason).toContain('cannot be read')
    renameSync(`${directory} away`, directory)
    await clock.until(() => driver.status().state === 'running', { stepMs: 1000 })
  })

  test.each(['delete', 'keep'])(
    'opened afresh, what lies there is discarded unread, for good (%s)',
    async (afterRead) => {
      folders.put(directory, 'a.cor', randomBytes(16 * KEY))
      await start({ afterRead }, true)
      await rest()
      expect(existsSync(path('a.cor'))).toBe(afterRead === 'keep')
      await driver.close({ drainMs: 0 })
      await start({ afterRead })
      folders.put(directory, 'b.cor', randomBytes(16 * KEY))
      await clock.until(() => sink.blocks.size === 1)
      await rest()
      expect(vendorIds()).toEqual(['b.cor:0'])
    },
  )

  test('a checkpoint of another driver is refused with a clear line', async () => {
    await start()
    sink.checkpoint = Buffer.from('what is this')
    const other = factory.create(keyFilesOptionsSchema.parse({ directory }))
    await expect(other.open(fakeContext({ sink }), { afresh: false })).rejects.toThrow(
      /checkpoint is not one of key-files/,
    )
  })
})
