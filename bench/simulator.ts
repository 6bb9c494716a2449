import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Child } from './child.ts'
import type { Pace } from './options.ts'
import { HOST, freePorts } from './ports.ts'
import type { SimulatorRun, SimulatorRunSettings } from './simulator-run.ts'

const PROGRAM = fileURLToPath(new URL('./simulator-run.ts', import.meta.url))

export interface SimulatorResult extends SimulatorRun {
  /** Seconds of the device's own time in which both ends together make that key, per second of CPU time. */
  readonly timesRealTime: number
}

export const speedOf = (run: SimulatorRun): SimulatorResult => ({
  ...run,
  timesRealTime: run.keyBits / run.secretKeyRateBps / run.cpuSeconds,
})

export const measureSimulator = async (
  parent: string,
  { warmUpMs, simulatorMs }: Pace,
): Promise<SimulatorResult> => {
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(parent, 'keyspring-bench-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const secretFile = join(folder, 'simulator.key')
  await writeFile(secretFile, randomBytes(32), { mode: 0o600 })
  const [port = 0] = await freePorts(1)
  const settings: SimulatorRunSettings = {
    ...{ host: HOST, port, secretFile, warmUpMs },
    windowMs: simulatorMs,
  }
  const child = opened.use(
    new Child({
      name: 'the simulator',
      script: PROGRAM,
      args: [JSON.stringify(settings)],
      logFile: join(folder, 'simulator.log'),
    }),
  )
  const run = (await child.message()) as SimulatorRun
  await child.succeed()
  return speedOf(run)
}
