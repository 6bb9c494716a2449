import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { patiently } from '../helpers/patiently.ts'
import { type HandMadePair, type HandMadeSite, makeSitesByHand } from './sites-by-hand.ts'

const LONG_MS = 120_000
const RECORD_BYTES = 32
/** Two blocks of 2048 keys and the beginning of a third. */
const FILE_BYTES = 5_000 * RECORD_BYTES

let pair: HandMadePair
let sites: readonly HandMadeSite[] = []
/** Bytes that were put into both folders and are good. */
let goodBytes = 0

beforeAll(async () => {
  pair = await makeSitesByHand()
  sites = [pair.a, pair.b]
}, LONG_MS)
afterAll(() => pair.stop(), LONG_MS)

const putBoth = async (name: string, content: Buffer): Promise<void> => {
  await Promise.all(sites.map((site) => site.put(name, content)))
}

const settled = (bytes: number, what: string): Promise<unknown> =>
  patiently(async () => {
    const links = await Promise.all(sites.map((site) => site.link()))
    return links.every(
      ({ ledger }) => ledger.receivedBytes === bytes && ledger.bytes.unverified === 0,
    )
  }, what)

test(
  'curl draws a key by POST at one site and fetches the same key by GET at the other, and the other way round',
  async () => {
    await putBoth('261123_1200_0000000a.cor', randomBytes(FILE_BYTES))
    goodBytes += FILE_BYTES
    await settled(goodBytes, 'the intake of the first file')

    const json = ['--header', 'Content-Type: application/json', '--data']
    const drawn = await pair.a.curl('sae-b/enc_keys', ...json, '{"number": 1, "size": 512}')
    expect(drawn.status).toBe(200)
    const [key] = drawn.body.keys ?? []
    expect(Buffer.from(key?.key ?? '', 'base64')).toHaveLength(64)
    const fetched = await pair.b.curl(`sae-a/dec_keys?key_ID=${key?.key_ID ?? ''}`)
    expect(fetched).toEqual(drawn)

    const back = await pair.b.curl('sae-a/enc_keys?number=3&size=128')
    expect(back.status).toBe(200)
    expect(back.body.keys).toHaveLength(3)
    const ids = { key_IDs: back.body.keys?.map(({ key_ID }) => ({ key_ID })) }
    const fetchedBack = await pair.a.curl('sae-b/dec_keys', ...json, JSON.stringify(ids))
    expect(fetchedBack).toEqual(back)

    // Once only.
    const again = await pair.a.curl('sae-b/dec_keys', ...json, JSON.stringify(ids))
    expect(again.status).toBe(400)
  },
  LONG_MS,
)

test(
  'a half-written file waits until it is whole, under its own name or another',
  async () => {
    const name = '261123_1201_0000000b.cor'
    const content = randomBytes(FILE_BYTES)
    const piece = FILE_BYTES / 50
    // A piece now and then for longer than an unchanged file has to rest.
    for (let at = 0; at < content.length; at += piece) {
      await Promise.all(sites.map((site) => site.append(name, content.subarray(at, at + piece))))
      await sleep(100)
    }
    // Had it been read half, there would be bytes of it now.
    for (const site of sites) expect(await site.receivedBytes()).toBe(goodBytes)
    goodBytes += FILE_BYTES
    await settled(goodBytes, 'the intake of the whole file')

    for (const site of sites) await site.append('261123_1202_0000000c.cor.part', content)
    await putBoth('261123_1203_0000000d.cor', randomBytes(FILE_BYTES))
    goodBytes += FILE_BYTES
    await settled(goodBytes, 'the intake of a file beside one that is not finished')
    for (const site of sites) {
      expect(await readdir(site.incoming)).toContain('261123_1202_0000000c.cor.part')
    }
  },
  LONG_MS,
)

test(
  'a biased file is quarantined at both sites, with an alarm, and nothing of it is delivered',
  async () => {
    const before = await pair.a.link()
    // Like real files of a device without privacy amplification: fewer ones than zeros.
    const biased = randomBytes(FILE_BYTES).map((byte, i) =>
      i % 4 === 0 ? byte & (byte << 1) : byte,
    )
    const name = '261123_1204_0000000e.cor'
    await putBoth(name, Buffer.from(biased))
    for (const site of sites) {
      await patiently(
        async () => (await site.link()).ledger.bytes.quarantined > 0,
        `the quarantine at site ${site.letter}`,
      )
      const names = (await (await site.admin()).alarms()).map((alarm) => alarm.name)
      expect(names).toContain('biased-input')
      const { lanes, ledger } = await site.link()
      expect(lanes[0].appendedBytes).toBe(before.lanes[0].appendedBytes)
      expect(ledger.balanced).toBe(true)
    }
    // Kept under another name where the configuration says so, gone where it does not.
    await patiently(() => existsSync(join(pair.a.incoming, `${name}.quarantined`)), 'a kept file')
    await patiently(() => !existsSync(join(pair.b.incoming, name)), 'a file that is gone')
  },
  LONG_MS,
)

test(
  'a restart reads no file twice, whether files are kept or deleted, and new ones are read',
  async () => {
    const before = await Promise.all(sites.map((site) => site.receivedBytes()))
    const files = (await readdir(pair.a.incoming)).filter((name) => name.endsWith('.cor'))
    expect(files).toHaveLength(3)
    expect((await readdir(pair.b.incoming)).filter((name) => name.endsWith('.cor'))).toEqual([])

    await Promise.all(sites.map((site) => site.restart()))
    await putBoth('261123_1205_0000000f.cor', randomBytes(FILE_BYTES))
    // Files are taken in the order of their names: all that came before has been looked at by then.
    await patiently(async () => {
      const now = await Promise.all(sites.map((site) => site.receivedBytes()))
      return now.every((bytes, i) => bytes === (before[i] ?? 0) + FILE_BYTES)
    }, 'the intake of the new file alone')

    const drawn = await pair.a.curl('sae-b/enc_keys?number=128&size=4096')
    expect(drawn.status).toBe(200)
    const [first] = drawn.body.keys ?? []
    const fetched = await pair.b.curl(`sae-a/dec_keys?key_ID=${first?.key_ID ?? ''}`)
    expect(fetched.body.keys).toEqual([first])
  },
  LONG_MS,
)
