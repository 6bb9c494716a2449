import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { EventEmitter } from 'node:events'
import { type ServeParts, serveCommand } from '../../src/cli/serve.ts'
import { KmeError } from '../../src/errors.ts'
import { RecordingIo } from './cli-fixture.ts'
import { type Site, createSite } from '../config/site.ts'
import { createTestCa } from '../helpers/test-ca.ts'

let site: Site
beforeAll(async () => {
  site = await createSite(await createTestCa())
  await site.certify({ days: 90 })
})
afterAll(async () => {
  await site[Symbol.asyncDispose]()
})

/** A KME that only says what is asked of it. */
const world = () => {
  const io = new RecordingIo()
  const source = new EventEmitter()
  const stops: number[] = []
  const exits: number[] = []
  let fail: (error: KmeError) => void = () => {}
  let nowMs = 0
  const failed = new Promise<KmeError>((resolve) => {
    fail = resolve
  })
  let told: () => void = () => {}
  const started = new Promise<void>((resolve) => {
    told = resolve
  })
  const parts: ServeParts = {
    start: async () => ({
      describe: () => {
        setImmediate(told)
        return ['KME kme-a', 'waits for its peer']
      },
      stop: async (drainMs) => {
        stops.push(drainMs)
      },
      failed,
    }),
    signals: { source, monotonicMs: () => nowMs, exit: (code) => exits.push(code) },
  }
  const running = serveCommand(io, parts).parseAsync(['-c', site.file, '--drain', '7'], {
    from: 'user',
  })
  const later = (ms: number): void => {
    nowMs += ms
  }
  return {
    io,
    source,
    stops,
    exits,
    fail: (error: KmeError) => {
      fail(error)
    },
    later,
    started,
    running,
  }
}

describe('`keyspring serve`', () => {
  test.each(['SIGTERM', 'SIGINT'])('says what runs, and drains on %s', async (signal) => {
    const { io, source, stops, started, running } = world()
    await started
    source.emit(signal, signal)
    await running
    expect(stops).toEqual([7000])
    expect(io.outLines).toEqual([])
    expect(io.errLines).toEqual([
      'keyspring: KME kme-a',
      'keyspring: waits for its peer',
      `keyspring: ${signal}: stopping, requests under way have 7 s`,
      'keyspring: stopped',
    ])
    expect(source.listenerCount(signal)).toBe(0)
  })

  test('warns of a certificate that has expired', async () => {
    await site.certify({ days: -1 })
    const { io, source, started, running } = world()
    await started
    source.emit('SIGTERM', 'SIGTERM')
    await running
    await site.certify({ days: 90 })
    expect(io.errLines.filter((line) => line.includes('warning'))).toEqual(
      ['sae', 'peer', 'admin'].map((name) =>
        expect.stringMatching(
          new RegExp(`^keyspring: warning: listeners\\.${name}\\.certFile: .* has expired on`),
        ),
      ),
    )
  })

  test('ends at once on a second signal, but not on the same one told twice', async () => {
    const { source, exits, started, later, running } = world()
    await started
    source.emit('SIGINT', 'SIGINT')
    source.emit('SIGINT', 'SIGINT')
    expect(exits).toEqual([])
    later(1500)
    source.emit('SIGINT', 'SIGINT')
    expect(exits).toEqual([130])
    await running
  })

  test('does not lose a signal that comes while it starts', async () => {
    const { source, stops, running } = world()
    source.emit('SIGTERM', 'SIGTERM')
    await running
    expect(stops).toEqual([7000])
  })

  test('closes and passes on the error when the KME cannot go on', async () => {
    const { stops, fail, started, running } = world()
    await started
    fail(new KmeError('STORE_FAILED', 'the disk is full'))
    await expect(running).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(stops).toEqual([0])
  })
})
