import { describe, expect, test } from '@jest/globals'
import { KmeError } from '../../src/errors.ts'
import { MemoryBackend } from '../../src/stores/memory/memory-backend.ts'
import { Store } from '../../src/stores/store.ts'
import { CommitQueue } from '../../src/stores/commit-queue.ts'
import type { StoreBackend, StoreTx } from '../../src/stores/store-tx.ts'
import { systemRandom } from '../../src/support/system-clock.ts'

const identity = { linkId: 'link-1', kmeId: 'a', peerKmeId: 'b' }

/** A database whose next commits fail as told; counts the commits. */
class FailingBackend implements StoreBackend {
  readonly #backend = new MemoryBackend(systemRandom)
  poisoned = false
  failure: 'full' | 'io' | null = null
  commits = 0

  transact<T>(work: (tx: StoreTx) => T): T {
    if (this.poisoned) throw new KmeError('STORE_FAILED', 'takes nothing any more')
    return this.#backend.transact((tx) => {
      const value = work(tx)
      this.commits += 1
      if (this.failure === null) return value
      this.poisoned = this.failure === 'io'
      throw new KmeError('STORE_FAILED', `commit failed: ${this.failure}`)
    })
  }

  close(): void {
    this.#backend.close()
  }
}

describe('commit queue', () => {
  test('calls of one turn share one commit, and nobody hears of it before it is done', async () => {
    const backend = new FailingBackend()
    const queue = new CommitQueue(backend, Infinity)
    const heard: number[] = []
    const calls = [1, 2, 3].map((i) =>
      queue.run(() => {
        expect(heard).toEqual([])
        return heard.push.bind(heard, i)
      }),
    )
    for (const call of calls) void call.then((push) => push())
    await Promise.all(calls)
    expect(backend.commits).toBe(1)
    expect(heard).toEqual([1, 2, 3])
    await queue.close()
  })

  test('a commit that hangs is told of while it does', async () => {
    const backend = new MemoryBackend(systemRandom)
    const disk = Promise.withResolvers<null>()
    const hanging: StoreBackend = {
      poisoned: false,
      transact: async (work) => {
        const value = await backend.transact(work)
        await disk.promise
        return value
      },
      close: () => {
        backend.close()
      },
    }
    const queue = new CommitQueue(hanging)
    expect(queue.commitMs).toBe(0)
    const call = queue.run(() => 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(queue.commitMs).toBeGreaterThan(0)
    disk.resolve(null)
    expect(await call).toBe(1)
    expect(queue.commitMs).toBe(0)
    await queue.close()
  })

  test('an operation that takes long leaves those after it for the next commit', async () => {
    const backend = new FailingBackend()
    // Far more than the others take, on a busy machine too.
    const longMs = 200
    const queue = new CommitQueue(backend, longMs)
    const takeLong = (): void => {
      const sinceMs = performance.now()
      while (performance.now() - sinceMs < longMs);
    }
    const commits: number[] = []
    const noted = (): void => void commits.push(backend.commits)
    await Promise.all([queue.run(noted), queue.run(takeLong), queue.run(noted), queue.run(noted)])
    expect(commits).toEqual([0, 1, 1])
    await queue.close()
  })

  test('more calls than a group holds are done in several commits, in order', async () => {
    const backend = new FailingBackend()
    const queue = new CommitQueue(backend, Infinity)
    const order: number[] = []
    await Promise.all(Array.from({ length: 600 }, (_, i) => queue.run(() => order.push(i))))
    expect(backend.commits).toBe(3)
    expect(order).toEqual(Array.from({ length: 600 }, (_, i) => i))
    await queue.close()
  })

  test('a call made while a commit is settled gets into the next one', async () => {
    const queue = new CommitQueue(new FailingBackend())
    const depth = async (left: number): Promise<number> =>
      left === 0 ? 0 : 1 + (await queue.run(() => left - 1).then(depth))
    expect(await depth(20)).toBe(20)
    await queue.close()
  })

  test('a commit that fails fails all its calls, and what they returned is wiped', async () => {
    const backend = new FailingBackend()
    backend.failure = 'full'
    const queue = new CommitQueue(backend)
    const key = Buffer.alloc(8, 1)
    const results = await Promise.allSettled([
      queue.run(
        () => key,
        (buffer) => buffer.fill(0),
      ),
      queue.run(() => {
        throw new KmeError('INTERNAL', 'its own mistake')
      }),
    ])
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'STORE_FAILED' } })
    }
    expect(key).toEqual(Buffer.alloc(8))
    await queue.close()
  })

  test('an operation that meets a full disk ends the commit of its neighbours too', async () => {
    const queue = new CommitQueue(new FailingBackend())
    const calls = [
      queue.run((tx) => {
        tx.writeRunningMs(5)
      }),
      queue.run(() => {
        throw new KmeError('STORE_FAILED', 'the disk is full')
      }),
    ]
    const results = await Promise.allSettled(calls)
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await queue.run((tx) => tx.readMeta().runningMs)).toBe(0)
    await queue.close()
  })

  test('a full disk is survived: what was not kept can be done again', async () => {
    const backend = new FailingBackend()
    const store = new Store(backend, systemRandom)
    backend.failure = 'full'
    await expect(store.openLink(identity)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    backend.failure = null
    await expect(store.readLink('link-1')).rejects.toThrow(TypeError)
    expect((await store.openLink(identity)).life).toBe(0)
    await store.close()
  })

  test('after an I/O error nothing is read or written any more, and the store says so', async () => {
    const backend = new FailingBackend()
    const store = new Store(backend, systemRandom)
    await store.openLink(identity)
    backend.failure = 'io'
    await expect(store.beginLife('link-1')).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(await store.failed).toMatchObject({ code: 'STORE_FAILED' })
    const { commits } = backend
    backend.failure = null
    await expect(store.readLink('link-1')).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(backend.commits).toBe(commits)
    await store.close()
  })
})
