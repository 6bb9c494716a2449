import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnSync } from 'node:child_process'
import type { ListenAddress } from '../../src/http/listen-error.ts'
import { type Listener, startListener } from '../../src/http/listener.ts'
import { LIMITS, RecordingObserver, addressPort, call, errorBody } from './listener-fixture.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ks-plain-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const start = (address: ListenAddress): Promise<Listener> =>
  startListener({
    name: 'probes',
    address,
    handler: (_request, response) => response.end('here'),
    errorBody,
    limits: LIMITS,
    observer: new RecordingObserver(),
  })

describe('A listener without TLS', () => {
  test('answers on a Unix socket and removes it when closed', async () => {
    const socket = join(folder, 'probes.sock')
    const listener = await start({ socket })
    expect(await call(listener, {})).toMatchObject({ status: 200, body: 'here' })
    await listener.close({ drainMs: 1000 })
    await using again = await start({ socket })
    expect(again.address).toEqual({ socket })
  })

  test('takes over the socket of a process that was killed', async () => {
    const socket = join(folder, 'probes.sock')
    const crash = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['-e', crash])
    await using listener = await start({ socket })
    expect(await call(listener, {})).toMatchObject({ status: 200 })
  })

  test('leaves the socket of a living process alone, and a file that is no socket', async () => {
    const socket = join(folder, 'probes.sock')
    await using listener = await start({ socket })
    await expect(start({ socket })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `the probes listener cannot listen on ${socket}: the socket is in use: stop the process that listens there, or choose another path (options listeners.probes: socket)`,
    })
    expect(await call(listener, {})).toMatchObject({ status: 200 })
    const file = join(folder, 'file')
    await writeFile(file, 'precious')
    await expect(start({ socket: file })).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  })
})

describe('An address that cannot be had', () => {
  test('a taken port is one line that names listener, address and what to do', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => other.once('listening', resolve))
    const port = (other.address() as { port: number }).port
    await expect(start({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: `the probes listener cannot listen on 127.0.0.1:${port}: the port is taken: stop the process that listens there, or choose another port (options listeners.probes: host and port)`,
    })
    other.close()
  })

  test('an address of another machine is one line', async () => {
    await expect(start({ host: '192.0.2.1', port: 0 })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringContaining('this machine has no such address'),
    })
  })

  test('a folder that is not there is one line', async () => {
    await expect(start({ socket: join(folder, 'none', 'probes.sock') })).rejects.toMatchObject({
      code: 'LISTEN_FAILED',
      message: expect.stringMatching(/its folder does not exist|no permission/),
    })
  })
})

test('an IPv6 address is written with brackets', async () => {
  await using listener = await start({ host: '::1', port: 0 })
  const port = addressPort(listener)
  await expect(start({ host: '::1', port })).rejects.toThrow(`cannot listen on [::1]:${port}:`)
})
