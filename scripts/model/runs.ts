import type { Expectation } from './judge.ts'
import { deliveries } from './deliveries.ts'
import { restore } from './restore.ts'
import type { Configuration, Model, Mutant } from './table.ts'

/** What `npm run model` searches. */
export const models: readonly Model[] = [deliveries, restore]

export interface Run extends Expectation {
  readonly name: string
  /** Of a mutant that is `covered` other rules keep the promises. */
  readonly kind: 'clean' | 'mutant' | 'covered' | 'witness'
  readonly title: string
  readonly model: string
  readonly configuration: string
  readonly defines: readonly string[]
}

/** The names of what a mutant takes away. */
export const takenBy = ({ name }: Mutant): readonly string[] => name.split('+')

const definesOf = (configurations: readonly Configuration[], name: string): readonly string[] => {
  const found = configurations.find((configuration) => configuration.name === name)
  if (!found) throw new Error(`no configuration ${name}`)
  return found.defines
}

const mutantRun = ({ file, configurations }: Model, mutant: Mutant): Run => {
  const { name, title, rule, configuration, breaks, also = [] } = mutant
  const taken = takenBy(mutant).map((one) => `MUTANT_${one}`)
  return {
    ...{ name, kind: breaks === null ? 'covered' : 'mutant', title: `${rule}: ${title}` },
    ...{ model: file, configuration },
    defines: [...definesOf(configurations, configuration), ...taken, ...also],
    violated: breaks === null ? null : `${breaks}_holds`,
  }
}

const runsOf = (model: Model): readonly Run[] => {
  const { file, configurations, mutants, witnesses } = model
  return [
    ...configurations.map((clean) => ({
      ...clean,
      ...{ kind: 'clean' as const, model: file, configuration: clean.name, violated: null },
    })),
    ...mutants.map((mutant) => mutantRun(model, mutant)),
    ...witnesses.map(({ name, title, configuration }) => ({
      ...{ name, kind: 'witness' as const, title, model: file, configuration, violated: 'unseen' },
      defines: [...definesOf(configurations, configuration), `WITNESS=${name}`],
    })),
  ]
}

const allRuns = (): readonly Run[] => models.flatMap(runsOf)

/** All runs, or the named ones, and the clean ones of the same configurations. */
export const chosenRuns = (only: readonly string[]): readonly Run[] => {
  const runs = allRuns()
  if (only.length === 0) return runs
  const named = runs.filter(({ name }) => only.includes(name))
  const unknown = only.filter((name) => !named.some((run) => run.name === name))
  if (unknown.length > 0) throw new Error(`no run is named ${unknown.join(', ')}`)
  const beside = new Set(named.map(({ configuration }) => configuration))
  return runs.filter((run) => named.includes(run) || (run.kind === 'clean' && beside.has(run.name)))
}
