import { describeStore } from '../contracts/store.ts'
import { openMemoryStore } from '../../src/stores/memory/memory-store.ts'
import { systemRandom } from '../../src/support/system-clock.ts'

describeStore('memory', async () => {
  const store = openMemoryStore({ random: systemRandom })
  return { store, dispose: () => store.close() }
})
