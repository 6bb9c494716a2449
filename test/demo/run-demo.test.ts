import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { runDemo } from '../../src/demo/demo.ts'
import { DemoDirectory } from '../../src/demo/directory.ts'
import {
  fakeProgram,
  figures,
  freePortBase,
  optionsFor,
  readyClients,
  recordingReport,
  temporaryFolder,
} from './fixture.ts'

/** Stands for the CLI: `store init` does nothing, `serve` does what the test says. */
const scripted = (serve: string): string => `if (process.argv[2] === 'serve') { ${serve} }\n`

const STAYS = `
  process.on('SIGTERM', () => { console.error('asked to end'); process.exit(0) })
  setInterval(() => {}, 1000)`

const never = new AbortController().signal

describe('running the demo', () => {
  test('a KME that ends by itself ends the demo with the last line of its log', async () => {
    using folder = temporaryFolder()
    using scripts = temporaryFolder()
    // The one that ends waits until the other is ready to be asked.
    const serve = `
      const { existsSync, writeFileSync } = await import('node:fs')
      const up = ${JSON.stringify(`${scripts.path}/up`)}
      if (process.argv[4].includes('kme-b')) {
        setInterval(() => {
          if (!existsSync(up)) return
          console.error('keyspring: the disk is full')
          process.exit(1)
        }, 10)
      } else { ${STAYS}; writeFileSync(up, '') }`
    const program = fakeProgram(scripts.path, scripted(serve))
    const report = recordingReport()
    const clients = {
      ...readyClients(),
      figures: async (_: unknown, { kmeId }: { kmeId: string }) => figures(kmeId, { ready: false }),
    }

    const demo = runDemo(optionsFor(folder.path, await freePortBase()), {
      program,
      clients,
      report,
      stop: never,
      hurry: never,
    })

    const logFile = `${folder.path}/kme-b.log`
    await expect(demo).rejects.toMatchObject({
      code: 'INTERNAL',
      message: `kme-b ended with exit code 1: the disk is full (its log: ${logFile})`,
    })
    expect(report.told.at(-1)).toMatch(/^prepared/)
    // The other one was asked to end, and nothing is in the way of the next start.
    expect(readFileSync(`${folder.path}/kme-a.log`, 'utf8')).toBe('asked to end\n')
    await (await DemoDirectory.claim(folder.path))[Symbol.asyncDispose]()
  })

  test('a KME that was killed is not blamed on the last line of its log', async () => {
    using folder = temporaryFolder()
    using scripts = temporaryFolder()
    const serve = `
      if (process.argv[4].includes('kme-b')) {
        console.error('keyspring: all is well')
        process.kill(process.pid, 'SIGKILL')
      } else { ${STAYS} }`
    const clients = {
      ...readyClients(),
      figures: async (_: unknown, { kmeId }: { kmeId: string }) => figures(kmeId, { ready: false }),
    }
    const demo = runDemo(optionsFor(folder.path, await freePortBase()), {
      program: fakeProgram(scripts.path, scripted(serve)),
      clients,
      report: recordingReport(),
      stop: never,
      hurry: never,
    })
    const logFile = `${folder.path}/kme-b.log`
    await expect(demo).rejects.toMatchObject({
      code: 'INTERNAL',
      message: `kme-b ended with SIGKILL (its log: ${logFile})`,
    })
  })

  test('a KME that does not end when asked to is killed when the user insists', async () => {
    using folder = temporaryFolder()
    using scripts = temporaryFolder()
    const deaf = `process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)`
    const program = fakeProgram(scripts.path, scripted(deaf))
    const report = recordingReport()
    const stop = new AbortController()
    const hurry = new AbortController()
    const told = {
      ...report,
      ready: () => {
        report.told.push('ready')
        stop.abort()
        hurry.abort()
      },
    }

    await runDemo(optionsFor(folder.path, await freePortBase()), {
      program,
      clients: readyClients(),
      report: told,
      stop: stop.signal,
      hurry: hurry.signal,
    })

    expect(report.told.slice(1)).toEqual(['ready', 'stopping', 'stopped'])
  })

  test('different bytes at the two ends are told, without the bytes', async () => {
    using folder = temporaryFolder()
    using scripts = temporaryFolder()
    const clients = {
      ...readyClients(),
      fetchKey: async () => ({ keyId: 'k', key: Buffer.alloc(32, 2) }),
    }

    const demo = runDemo(
      { ...optionsFor(folder.path, await freePortBase()), once: true },
      {
        program: fakeProgram(scripts.path, scripted(STAYS)),
        clients,
        report: recordingReport(),
        stop: never,
        hurry: never,
      },
    )

    await expect(demo).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'the two KMEs gave different bytes for k',
    })
  })

  test('one key at both ends is what --once promises: stopped before, it has failed', async () => {
    using folder = temporaryFolder()
    using scripts = temporaryFolder()
    const stop = new AbortController()
    const clients = {
      ...readyClients(),
      figures: async (_: unknown, { kmeId }: { kmeId: string }) => {
        stop.abort()
        return figures(kmeId, { ready: false })
      },
    }

    const demo = runDemo(
      { ...optionsFor(folder.path, await freePortBase()), once: true },
      {
        program: fakeProgram(scripts.path, scripted(STAYS)),
        clients,
        report: recordingReport(),
        stop: stop.signal,
        hurry: never,
      },
    )

    await expect(demo).rejects.toMatchObject({
      code: 'NOT_READY',
      message: 'stopped before a key was delivered',
    })
  })
})
