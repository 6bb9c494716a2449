import { describeStore } from '../contracts/store.ts'
import type { StoreUnderTest } from '../contracts/store-ends.ts'
import { openSqliteStore } from '../../src/stores/sqlite/sqlite-store.ts'
import type { Store } from '../../src/stores/store.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { makeSqliteFixture } from './sqlite-fixture.ts'

const openStore = async (): Promise<StoreUnderTest> => {
  const fixture = await makeSqliteFixture()
  const { path, sealing } = fixture
  const open = (): Promise<Store> => openSqliteStore({ path, sealing, random: systemRandom })
  let store = await open()
  return {
    store,
    reopen: async () => {
      await store.close()
      store = await open()
      return store
    },
    dispose: async () => {
      await store.close()
      await fixture[Symbol.asyncDispose]()
    },
  }
}

describeStore('SQLite', openStore)
