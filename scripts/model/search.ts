import { execFile, spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSearch, type Search } from './judge.ts'

/** Far above what the table needs (pan says how deep it was): a search that meets it is not judged complete. */
const DEPTH = '3000000'
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024
/** Every interleaving, each state kept whole: nothing is judged by a hash or a reduction. */
const FLAGS = ['-w', '-DSAFETY', '-DNOREDUCE', '-DCOLLAPSE', '-DMEMLIM=6000']

/** The tools that are not there. */
export const missingTools = (): string[] =>
  ['spin', 'gcc'].filter((tool) => spawnSync(tool, ['--version']).error !== undefined)

interface Ended {
  readonly output: string
  readonly exitCode: number | null
}

const run = (program: string, args: readonly string[], cwd: string): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { cwd, maxBuffer: MAX_OUTPUT_BYTES },
      (_error, stdout, stderr) => {
        resolve({ output: stdout + stderr, exitCode: child.exitCode })
      },
    )
  })

const mustRun = async (program: string, args: readonly string[], cwd: string): Promise<void> => {
  const { output, exitCode } = await run(program, args, cwd)
  if (exitCode !== 0) throw new Error(`${program} failed: ${output.trim().slice(0, 500)}`)
}

export interface TimedSearch extends Search {
  readonly seconds: number
}

/** A folder outside of the repository in which models are compiled, gone when disposed. */
export class Workshop implements Disposable {
  readonly #models: string
  readonly #path = mkdtempSync(join(tmpdir(), 'keyspring-model-'))
  #made = 0

  /** `models`: the folder that they lie in. */
  constructor(models: string) {
    this.#models = models
  }

  /** A search that is to be whole is worth what compiling it well takes. */
  async search(model: string, defines: readonly string[], whole: boolean): Promise<TimedSearch> {
    const folder = join(this.#path, String((this.#made += 1)))
    mkdirSync(folder)
    copyFileSync(join(this.#models, model), join(folder, 'model.pml'))
    const macros = defines.map((define) => `-D${define}`)
    await mustRun('spin', ['-a', ...macros, 'model.pml'], folder)
    await mustRun('gcc', [whole ? '-O1' : '-O0', ...FLAGS, '-o', 'pan', 'pan.c'], folder)
    const startMs = performance.now()
    const { output, exitCode } = await run(join(folder, 'pan'), [`-m${DEPTH}`], folder)
    const seconds = (performance.now() - startMs) / 1000
    rmSync(folder, { recursive: true })
    return { ...readSearch(output, exitCode), seconds }
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true })
  }
}
