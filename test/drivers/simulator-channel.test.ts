import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { SimulatorDriver } from '../../src/drivers/simulator/driver.ts'
import { encodeBlock, encodeFrame, FRAME, FrameReader } from '../../src/drivers/simulator/frames.ts'
import { factory } from '../../src/drivers/simulator/index.ts'
import { simulatorOptionsSchema } from '../../src/drivers/simulator/options.ts'
import { ListeningTransport } from '../../src/drivers/simulator/tls-transport.ts'
import type { QkdDriver } from '../../src/ports/qkd-driver.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { fakeContext } from '../helpers/fake-driver-context.ts'

const FAST = { blockBytes: 512, secretKeyRateBps: 40_960, speedUp: 10 }
const PLENTY = 1024 * 1024
const LOOPBACK = '127.0.0.1'

describe("the simulator's channel over TLS", () => {
  let directory: string
  let clock: FakeClock
  const opened: QkdDriver[] = []

  const secretFile = (name: string, bytes = randomBytes(32), mode = 0o600): string => {
    const path = join(directory, name)
    writeFileSync(path, bytes, { mode })
    chmodSync(path, mode)
    return path
  }

  const listen = async (file: string, deviceId = 'device-1') => {
    const transport = new ListeningTransport({ host: LOOPBACK, port: 0 }, file)
    const driver = new SimulatorDriver(simulatorOptionsSchema.parse(FAST), transport)
    const context = fakeContext({ role: 'leader', clock, deviceId })
    opened.push(driver)
    await driver.open(context, { afresh: false })
    await driver.start()
    driver.setDemand(PLENTY)
    return { driver, context, port: transport.port ?? 0 }
  }

  const connect = async (port: number, file: string, deviceId = 'device-1') => {
    const options = { ...FAST, connect: { host: LOOPBACK, port }, secretFile: file }
    const driver = factory.create(simulatorOptionsSchema.parse(options))
    const context = fakeContext({ role: 'follower', clock, deviceId })
    opened.push(driver)
    await driver.open(context, { afresh: false })
    await driver.start()
    driver.setDemand(PLENTY)
    return { driver, context }
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'keyspring channel '))
    clock = new FakeClock()
  })

  afterEach(async () => {
    for (const driver of opened.splice(0)) await driver.close({ drainMs: 0 })
    rmSync(directory, { recursive: true })
  })

  test('an end with another secret gets nothing; the reason is told, the right one is served', async () => {
    const file = secretFile('right')
    const leader = await listen(file)
    const stranger = await connect(leader.port, secretFile('wrong'))
    await clock.until(() => leader.driver.status().reason?.includes('secretFile') === true)
    await clock.until(
      () =>
        stranger.driver.status().reason?.endsWith('secretFile must be the same at both ends') ===
        true,
    )
    await clock.advanceAsync(3000)
    expect(stranger.context.sink.offers).toBe(0)
    expect(stranger.driver.status().state).toBe('connecting')
    expect(stranger.driver.status().reason).toMatch(/^no connection to 127\.0\.0\.1:\d+: /)
    await stranger.driver.close({ drainMs: 0 })
    const right = await connect(leader.port, file)
    await clock.until(() => right.context.sink.blocks.size > 2)
  })

  test('an end of another device gets nothing, though it has the same file', async () => {
    const file = secretFile('shared')
    const leader = await listen(file, 'device-1')
    const other = await connect(leader.port, file, 'device-2')
    await clock.advanceAsync(3000)
    expect([leader.context.sink.offers, other.context.sink.offers]).toEqual([0, 0])
    expect(leader.driver.status().state).not.toBe('running')
  })

  test('two leading ends refuse each other with a clear reason', async () => {
    const file = secretFile('shared')
    const leader = await listen(file)
    const options = { ...FAST, connect: { host: LOOPBACK, port: leader.port }, secretFile: file }
    const second = factory.create(simulatorOptionsSchema.parse(options))
    opened.push(second)
    await second.open(fakeContext({ role: 'leader', clock }), { afresh: false })
    await second.start()
    await clock.advanceAsync(1000)
    expect(leader.driver.status().state).not.toBe('running')
    expect(second.status().state).not.toBe('running')
  })

  test('a caller without TLS is hung up on, and hears no key', async () => {
    const leader = await listen(secretFile('secret'))
    const socket = connectPlain(leader.port, LOOPBACK)
    const heard: Buffer[] = []
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
    socket.on('error', () => undefined)
    socket.write(encodeFrame(FRAME.hello, Buffer.from('{"role":"follower"}')))
    await once(socket, 'close')
    expect(Buffer.concat(heard).length).toBeLessThan(64)
  })

  test('an end that restarts is found again, and the blocks go on', async () => {
    const file = secretFile('secret')
    const leader = await listen(file)
    const first = await connect(leader.port, file)
    await clock.until(() => first.context.sink.blocks.size > 3)
    await first.driver.close({ drainMs: 0 })
    await clock.until(() => leader.driver.status().state === 'down')
    const second = await connect(leader.port, file)
    await clock.until(() => second.context.sink.blocks.size > 3)
    const followed = new Map([...first.context.sink.blocks, ...second.context.sink.blocks])
    await clock.until(() =>
      [...followed.keys()].every((key) => leader.context.sink.blocks.has(key)),
    )
    for (const [key, { material }] of leader.context.sink.blocks) {
      const other = followed.get(key)
      if (other !== undefined) expect(other.material.equals(material)).toBe(true)
    }
  })

  test.each([
    ['is readable by its group', 0o640, 32, /group or others can access it/],
    ['is too short', 0o600, 31, /has 31 bytes/],
  ])('a secret file that %s is refused with one line', async (_what, mode, length, message) => {
    const file = secretFile('secret', randomBytes(length), mode)
    await expect(listen(file)).rejects.toThrow(message)
    await expect(connect(1, file)).rejects.toMatchObject({ code: 'DRIVER_FAILED' })
  })

  test('a taken port is refused with one line', async () => {
    const file = secretFile('secret')
    const { port } = await listen(file)
    const options = { ...FAST, listen: { host: LOOPBACK, port }, secretFile: file }
    const second = factory.create(simulatorOptionsSchema.parse(options))
    await expect(
      second.open(fakeContext({ role: 'leader', clock }), { afresh: false }),
    ).rejects.toThrow(new RegExp(`^cannot listen on 127.0.0.1:${port}: `))
  })

  test('without a way to its other end it does not open, and says what to set', async () => {
    const driver = factory.create(simulatorOptionsSchema.parse({}))
    await expect(driver.open(fakeContext(), { afresh: false })).rejects.toThrow(
      /set "listen" at one end and "connect" at the other/,
    )
  })

  test('a device of a KME with itself needs no other end', async () => {
    const driver = factory.create(simulatorOptionsSchema.parse(FAST))
    const context = fakeContext({ role: 'both', clock })
    opened.push(driver)
    await driver.open(context, { afresh: false })
    await driver.start()
    driver.setDemand(PLENTY)
    await clock.until(() => context.sink.blocks.size > 5)
    expect(driver.status().state).toBe('running')
  })

  test('two processes have the same blocks', async () => {
    const file = secretFile('secret')
    const transportPort = await freePort()
    const base = { ...FAST, secretFile: file }
    const leader = startEnd('leader', {
      ...base,
      listen: { host: LOOPBACK, port: transportPort },
    })
    const follower = startEnd('follower', {
      ...base,
      connect: { host: LOOPBACK, port: transportPort },
    })
    try {
      const [left, right] = await Promise.all([leader.lines(20), follower.lines(20)])
      expect(left).toEqual(right)
      expect(new Set(left).size).toBe(20)
    } finally {
      await Promise.all([leader.stop(), follower.stop()])
    }
  })
})

const freePort = async (): Promise<number> => {
  const { createServer } = await import('node:net')
  const server = createServer().listen(0, LOOPBACK)
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

const startEnd = (role: string, options: Record<string, unknown>) => {
  const script = new URL('./fixtures/simulator-end.ts', import.meta.url).pathname
  const child: ChildProcessByStdio<null, Readable, null> = spawn(
    process.execPath,
    [decodeURIComponent(script), role, JSON.stringify(options)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const seen: string[] = []
  const reader = createInterface({ input: child.stdout })
  reader.on('line', (line) => seen.push(line))
  return {
    lines: async (count: number): Promise<readonly string[]> => {
      while (seen.length < count) await once(reader, 'line')
      return seen.slice(0, count)
    },
    stop: async (): Promise<void> => {
      if (child.exitCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

describe('frames', () => {
  const message = encodeFrame(FRAME.taken, Buffer.from('{"sequence":1}'))

  test('are the same however the bytes are cut', () => {
    const block = encodeBlock({
      sequence: 7,
      position: 512,
      qber: 0.01,
      material: Buffer.alloc(512, 1),
    })
    const bytes = Buffer.concat([message, block, message])
    for (let cut = 1; cut < bytes.length; cut += 7) {
      const reader = new FrameReader()
      const parts: Buffer[] = []
      for (let at = 0; at < bytes.length; at += cut)
        parts.push(Buffer.from(bytes.subarray(at, at + cut)))
      const types = parts.flatMap((part) => reader.read(part).map(({ type }) => type))
      expect(types).toEqual([FRAME.taken, FRAME.block, FRAME.taken])
    }
  })

  test.each([
    ['of an unknown type', Buffer.from('0000000163', 'hex')],
    ['without a type', Buffer.from('0000000001', 'hex')],
    ['too long for a message', Buffer.from('0000200001', 'hex')],
    ['too long for a block', Buffer.from('7fffffff03', 'hex')],
  ])('%s end the connection before anything is kept', (_what, bytes) => {
    expect(() => new FrameReader().read(bytes)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL' }),
    )
  })
})
