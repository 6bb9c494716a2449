import { describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { run } from '../../src/cli/run.ts'
import { DemoDirectory } from '../../src/demo/directory.ts'
import { demoLayout } from '../../src/demo/layout.ts'
import { freePortBase, temporaryFolder } from './fixture.ts'

const demo = async (...args: readonly string[]) => {
  const lines: string[] = []
  const write = (line: string): void => {
    lines.push(line)
  }
  const code = await run(['demo', ...args], { out: write, err: write })
  return { code, lines }
}

describe('what the demo refuses, in one line', () => {
  test('a port that is taken is named, with another base to take', async () => {
    using folder = temporaryFolder()
    const layout = demoLayout(folder.path, await freePortBase())
    const server = createServer().listen(layout.b.adminPort, '127.0.0.1')
    await once(server, 'listening')

    const base = String(layout.portBase)
    const refused = await demo('--dir', folder.path, '--port-base', base)
    server.close()

    const port = String(layout.b.adminPort)
    const proposal = String(layout.portBase + 100)
    expect(refused).toEqual({
      code: 1,
      lines: [
        `keyspring: port ${port} is taken: stop what listens there, or choose other ports, for example --port-base ${proposal}`,
      ],
    })
    // The base that did not work is not the one of the next start, and nothing is in its way.
    await using directory = await DemoDirectory.claim(folder.path)
    expect(await directory.portBase()).toBeUndefined()
  })

  test('a folder that cannot be made is named', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'file'), '')
    const dir = join(folder.path, 'file', 'demo')

    expect(await demo('--dir', dir)).toEqual({
      code: 2,
      lines: [
        `keyspring: ${dir} cannot hold the demo: a file is in the way; choose another with --dir`,
      ],
    })
  })

  test('a folder in which something else lies is left as it is', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'thesis.txt'), 'years of work')

    expect(await demo('--dir', folder.path)).toEqual({
      code: 2,
      lines: [
        `keyspring: ${folder.path} holds other things than a demo: choose an empty or a new folder with --dir`,
      ],
    })
    expect(readdirSync(folder.path)).toEqual(['thesis.txt'])
  })

  test.each([
    [['--port-base', '80'], '--port-base "80": expected a whole number from 1024 to 65520'],
    [['--port-base', '65521'], '--port-base "65521": expected a whole number from 1024 to 65520'],
    [['--km', 'far'], '--km "far": expected a number from 0 to 1000'],
    [['--speed-up', '0'], '--speed-up "0": expected a number from 0.01 to 1000'],
    [['--dir', ' '], '--dir: expected the path of a folder'],
  ])('%j makes nothing', async (args, message) => {
    expect(await demo(...args)).toEqual({ code: 2, lines: [`keyspring: ${message}`] })
  })

  test('a lock that a killed demo left is no obstacle', async () => {
    using folder = temporaryFolder()
    mkdirSync(join(folder.path, 'demo'))
    const dir = join(folder.path, 'demo')
    // Above what any system numbers its processes.
    writeFileSync(join(dir, 'running.pid'), '2147483646\n')

    await (await DemoDirectory.claim(dir))[Symbol.asyncDispose]()

    expect(existsSync(join(dir, 'running.pid'))).toBe(false)
  })
})
