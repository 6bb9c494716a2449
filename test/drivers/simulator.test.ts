import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SimulatorDriver } from '../../src/drivers/simulator/driver.ts'
import { simulatorOptionsSchema } from '../../src/drivers/simulator/options.ts'
import {
  ConnectingTransport,
  ListeningTransport,
} from '../../src/drivers/simulator/tls-transport.ts'
import { MemoryMeetingPoint, type Transport } from '../../src/drivers/simulator/transport.ts'
import { describeQkdDriver } from '../contracts/qkd-driver.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

/** About ten blocks a second. */
const FAST = { blockBytes: 512, secretKeyRateBps: 40_960 }

describeQkdDriver('simulator in one process', async () => {
  const meetingPoint = new MemoryMeetingPoint()
  const [left, right] = meetingPoint.transports()
  return {
    clock: new FakeClock(),
    makeDriver: (end) =>
      new SimulatorDriver(simulatorOptionsSchema.parse(FAST), end === 'leader' ? left : right),
    supply: async () => [],
    disconnect: () => {
      meetingPoint.disconnect()
    },
    reconnect: () => {
      meetingPoint.connect()
    },
    dispose: async () => {},
  }
})

describeQkdDriver('simulator over TLS', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'keyspring simulator '))
  const secretFile = join(directory, 'secret')
  writeFileSync(secretFile, randomBytes(32), { mode: 0o600 })
  let listening = new ListeningTransport({ host: '127.0.0.1', port: 0 }, secretFile)
  let port = 0
  const transportOf = (end: string): Transport => {
    if (end === 'follower') {
      port = listening.port ?? port
      return new ConnectingTransport({ host: '127.0.0.1', port }, secretFile)
    }
    listening = new ListeningTransport({ host: '127.0.0.1', port: 0 }, secretFile)
    return listening
  }
  return {
    clock: new FakeClock(),
    makeDriver: (end) => new SimulatorDriver(simulatorOptionsSchema.parse(FAST), transportOf(end)),
    supply: async () => [],
    dispose: async () => {
      rmSync(directory, { recursive: true })
    },
  }
})

describeQkdDriver('simulator with a seed', async () => ({
  clock: new FakeClock(),
  makeDriver: () =>
    new SimulatorDriver(simulatorOptionsSchema.parse({ ...FAST, seed: 'a seed' }), null),
  supply: async () => [],
  dispose: async () => {},
}))
