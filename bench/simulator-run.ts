/**
 * Both ends of a simulated device of some kb/s in one process, as fast as they go, with nobody behind
 * them who does anything with the key. A program of its own: its CPU time is theirs.
 */
import { KmeError } from '../src/errors.ts'
import { createDriver } from '../src/drivers/registry.ts'
import { driverConfigSchema } from '../src/drivers/options.ts'
import type { DriverContext, KeyBlock, QkdDriver } from '../src/ports/qkd-driver.ts'
import { systemClock, systemRandom } from '../src/support/system-clock.ts'
import { wipe } from '../src/support/wipe.ts'

/** The one argument of this program, as JSON. */
export interface SimulatorRunSettings {
  readonly host: string
  readonly port: number
  readonly secretFile: string
  readonly warmUpMs: number
  readonly windowMs: number
}

/** What it sends when it is done. */
export interface SimulatorRun {
  /** Of the device's own clock. */
  readonly secretKeyRateBps: number
  /** Key that both ends handed over in the window. */
  readonly keyBits: number
  readonly seconds: number
  readonly cpuSeconds: number
}

/** The fastest that the option allows: what is measured is how far the ends keep up. */
const SPEED_UP = 1e6
const PLENTY_BYTES = 2 ** 44

/** Takes every block for stored. */
class Taker {
  bytes = 0

  async offer(blocks: readonly KeyBlock[]) {
    for (const { material } of blocks) {
      this.bytes += material.length
      wipe(material)
    }
    return blocks.map(() => 'stored' as const)
  }
}

const contextOf = (role: 'leader' | 'follower', sink: Taker): DriverContext => ({
  linkId: 'bench',
  deviceId: 'sim',
  role,
  clock: systemClock,
  random: systemRandom,
  sink,
  checkpoint: async () => null,
  channel: {
    send: async () => {
      throw new KmeError('PEER_UNAVAILABLE', 'the simulated device has a channel of its own')
    },
    on: () => undefined,
  },
  events: {
    changed: () => undefined,
    alarm: (_, message) => {
      throw new Error(message)
    },
    gap: (_, why) => {
      throw new Error(why)
    },
  },
})

const start = async (
  role: 'leader' | 'follower',
  meeting: object,
  sink: Taker,
  secretFile: string,
): Promise<QkdDriver> => {
  const options = { speedUp: SPEED_UP, secretFile, ...meeting }
  const driver = createDriver(driverConfigSchema.parse({ driver: 'simulator', options }))
  await driver.open(contextOf(role, sink), { afresh: false })
  await driver.start()
  driver.setDemand(PLENTY_BYTES)
  return driver
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const settings = JSON.parse(process.argv[2] ?? '') as SimulatorRunSettings
const { host, port, secretFile, warmUpMs, windowMs } = settings
const ofLeader = new Taker()
const ofFollower = new Taker()
const leader = await start('leader', { listen: { host, port } }, ofLeader, secretFile)
const follower = await start('follower', { connect: { host, port } }, ofFollower, secretFile)
while (ofFollower.bytes === 0) await pause(10)
await pause(warmUpMs)

const bytesNow = (): number => Math.min(ofLeader.bytes, ofFollower.bytes)
const before = { bytes: bytesNow(), cpu: process.cpuUsage(), ms: performance.now() }
await pause(windowMs)
const { user, system } = process.cpuUsage(before.cpu)
const run: SimulatorRun = {
  secretKeyRateBps: leader.status().secretKeyRateBps ?? 0,
  keyBits: (bytesNow() - before.bytes) * 8,
  seconds: (performance.now() - before.ms) / 1000,
  cpuSeconds: (user + system) / 1e6,
}
for (const driver of [leader, follower]) await driver.close({ drainMs: 0 })
process.send?.(run)
