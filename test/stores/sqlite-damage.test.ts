import { randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'
import { isKmeError } from '../../src/errors.ts'
import { makeDeliveryId } from '../../src/model/key-id.ts'
import type { OwnWrite } from '../../src/ports/lane-store.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../../src/stores/store.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { Dice } from '../links/chaos/dice.ts'
import { EPOCH, makeSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts'

const NOW = { runningMs: 1, wallMs: 1_800_000_000_000 }
const LINK_ID = 'a-b'
const KEY_BYTES = 32
const FLIPS = 400
const LONG_MS = 120_000

const SPOKEN = new Set(['STORE_CORRUPT', 'STORE_FAILED', 'STORE_SCHEMA', 'SEALING_FAILED'])

const openStore = ({ path, sealing }: SqliteFixture): Promise<Store> =>
  openSqliteStore({ path, sealing, random: systemRandom })

const deliver = async (store: Store, write: OwnWrite, offset: number): Promise<Buffer> => {
  const { saes } = await store.registerSaes(['master', 'slave'])
  const [master, slave] = saes
  if (!master || !slave) throw new TypeError('two SAEs')
  const deliveryId = makeDeliveryId(offset + 1, randomBytes(10))
  const delivery = {
    ...{ deliveryId, lane: 'verifier' as const, offset, keyLengthBytes: KEY_BYTES, keyCount: 2 },
    ...{ master, timeToLiveMs: 60_000 },
  }
  const created = { delivery, localSlaves: [slave], remoteSlaves: [], remoteKmeId: null }
  await store.commitDeliveries(write, [created], NOW)
  return deliveryId
}

const fetchOne = async (store: Store, deliveryId: Buffer, index: number): Promise<void> => {
  const [, slave] = (await store.registerSaes(['master', 'slave'])).saes
  if (!slave) throw new TypeError('a slave')
  await store.fetchKeys(
    {
      sae: slave,
      masterSaeId: 'master',
      keys: [{ deliveryId, index }],
      redeliveryWindowMs: () => 1_000,
    },
    NOW,
  )
}

/** Something of each kind: key in lanes, deliveries with keys held, one of them fetched, an audit record. */
const fill = async (store: Store): Promise<Buffer> => {
  await store.openLink({ linkId: LINK_ID, kmeId: 'kme', peerKmeId: 'kme' })
  const { life, generation } = await store.beginLife(LINK_ID)
  const peer = { generation, life, commitCounter: 0 }
  await store.beginEpoch({ linkId: LINK_ID, life, epoch: null }, EPOCH, peer)
  const write = { linkId: LINK_ID, life, epoch: EPOCH }
  for (const vendorId of ['1', '2']) {
    const ref = { deviceId: 'qkd', streamId: 's', vendorId }
    const blocks = [{ ref, material: randomBytes(8_000), finding: null }]
    const batch = { deviceId: 'qkd', end: 'both' as const, blocks, checkpoint: null }
    await store.receiveBlocks(write, batch, NOW)
  }
  const deliveryId = await deliver(store, write, 0)
  await fetchOne(store, deliveryId, 0)
  await deliver(store, write, 64)
  return deliveryId
}

/** Whatever a KME does with a store, in the order in which it does it. */
const use = async (store: Store, deliveryId: Buffer): Promise<void> => {
  await store.openLink({ linkId: LINK_ID, kmeId: 'kme', peerKmeId: 'kme' })
  await store.readStanding()
  const { life, epoch, generation, commitCounter } = await store.beginLife(LINK_ID)
  if (!epoch) return
  const peer = { generation, life, commitCounter }
  const agreement = { peer, adopt: {}, closedBatch: null }
  await store.applyHello({ linkId: LINK_ID, life, epoch }, agreement)
  await store.readLedger(LINK_ID)
  await store.recountLedger(LINK_ID)
  await fetchOne(store, deliveryId, 1)
  await deliver(store, { linkId: LINK_ID, life, epoch }, 256)
  await store.readAudit(0, 100)
  await store.expireDeliveries({ ...NOW, runningMs: 70_000 }, 100)
}

test(
  'a bit that is another, wherever in the file it lies, never ends in an error without a name',
  async () => {
    await using fixture = await makeSqliteFixture()
    const store = await openStore(fixture)
    const deliveryId = await fill(store)
    await store.close()
    const whole = readFileSync(fixture.path)
    const sound = await openStore(fixture)
    await use(sound, deliveryId)
    await sound.close()
    const dice = new Dice(3)
    const odd: string[] = []
    let refused = 0
    for (let n = 0; n < FLIPS; n += 1) {
      const at = dice.roll(whole.length)
      const bytes = Buffer.from(whole)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << dice.roll(8))
      rmSync(`${fixture.path}-wal`, { force: true })
      writeFileSync(fixture.path, bytes)
      let opened: Store | undefined
      try {
        opened = await openStore(fixture)
        await use(opened, deliveryId)
      } catch (error) {
        refused += 1
        if (!isKmeError(error) || !SPOKEN.has(error.code)) odd.push(`byte ${at}: ${String(error)}`)
      } finally {
        await opened?.close()
      }
    }
    expect(odd).toEqual([])
    expect(refused).toBeGreaterThan(10)
  },
  LONG_MS,
)
