import { expect, test } from '@jest/globals'
import { copyFileSync, rmSync } from 'node:fs'
import { RecordingObserver } from '../helpers/recording-observer.ts'
import { StoreMark } from '../../src/kme/store-mark.ts'
import type { Store } from '../../src/stores/store.ts'
import { makeSqliteFixture, type SqliteFixture } from './sqlite-fixture.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import { systemClock, systemRandom } from '../../src/support/system-clock.ts'

const LINK = { linkId: 'l', kmeId: 'a', peerKmeId: 'b' }

/** One run of a KME on the file: compared with its mark at the start, marked at the stop. */
const run = async (
  { path, sealing }: SqliteFixture,
  work: (store: Store) => Promise<unknown> = async () => undefined,
) => {
  const observer = new RecordingObserver()
  const store = await openSqliteStore({ path, sealing, random: systemRandom })
  const now = () => ({ runningMs: 1, wallMs: 0 })
  const mark = await StoreMark.open({ storePath: path, store, clock: systemClock, now, observer })
  const { generation, formerGenerations } = await store.readStanding()
  await store.openLink(LINK)
  await store.beginLife(LINK.linkId)
  await work(store)
  const { restored } = await store.readLink(LINK.linkId)
  await mark[Symbol.asyncDispose]()
  await store.close()
  return { restored, generation, formerGenerations, observer }
}

test('a store file that was copied back by hand is restored at the next start, once for each copy', async () => {
  await using fixture = await makeSqliteFixture()
  const first = await run(fixture)
  copyFileSync(fixture.path, `${fixture.path}.copy`)
  expect(await run(fixture)).toMatchObject({ restored: false, generation: first.generation })
  copyFileSync(`${fixture.path}.copy`, fixture.path)
  const back = await run(fixture)
  expect(back).toMatchObject({ restored: true, formerGenerations: [first.generation] })
  expect(back.observer.names()).toEqual(['self-restored'])
  expect((await run(fixture)).observer.names()).toEqual([])
  // The copy knows nothing of the generation that the mark names now.
  copyFileSync(`${fixture.path}.copy`, fixture.path)
  expect((await run(fixture)).observer.names()).toEqual(['self-restored'])
})

test('a mark that is only late, or gone, makes no store a restored one; a store that was used is warned about', async () => {
  await using fixture = await makeSqliteFixture()
  const { observer } = await run(fixture)
  expect(observer.events).toEqual([])
  copyFileSync(`${fixture.path}.mark`, `${fixture.path}.late`)
  await run(fixture, async (store) => {
    const { generation } = await store.readStanding()
    await store.becomeRestored(generation, { runningMs: 1, wallMs: 0 })
  })
  copyFileSync(`${fixture.path}.late`, `${fixture.path}.mark`)
  expect((await run(fixture)).observer.names()).toEqual([])
  rmSync(`${fixture.path}.mark`)
  const unmarked = await run(fixture)
  expect(unmarked.observer.names()).toEqual([])
  expect(unmarked.observer.events).toMatchObject([{ level: 'warn', name: 'store.mark' }])
})
