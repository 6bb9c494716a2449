/** What one run of SPIN's verifier said. */
export interface Search {
  /** The assertion that a trace breaks, for instance `P1_holds`. */
  readonly violated: string | null
  readonly states: number
  /** Why the search did not see everything, or null. */
  readonly incomplete: string | null
}

/** What a run must find: an assertion that breaks, or nothing in a whole search. */
export interface Expectation {
  readonly violated: string | null
}

const LIMITS = [
  'max search depth too small',
  'Search not completed',
  'reached -DMEMLIM bound',
  'out of memory',
  'hash factor',
  'aborting',
]

/** Reads the output of pan. What does not look like the end of a search is an incomplete one. */
export const readSearch = (output: string, exitCode: number | null): Search => {
  const violated = /assertion violated \(?(\w+)\)?/.exec(output)?.[1] ?? null
  const states = Number(/(\d+) states, stored/.exec(output)?.[1] ?? 0)
  return { violated, states, incomplete: incompleteness(output, exitCode) }
}

const incompleteness = (output: string, exitCode: number | null): string | null => {
  if (exitCode !== 0) return `the verifier ended with ${exitCode ?? 'a signal'}`
  const limit = LIMITS.find((text) => output.includes(text))
  if (limit !== undefined) return limit
  if (!output.includes('Full statespace search')) return 'not a full search'
  const errors = /errors: (\d+)/.exec(output)?.[1]
  if (errors === undefined) return 'the verifier did not finish'
  return errors === '0' ? null : `${errors} errors`
}

/** What is wrong with a run, or null where it found what it should. */
export const surprise = (search: Search, { violated }: Expectation): string | null => {
  if (violated === null) {
    if (search.violated !== null) return `${search.violated} is broken`
    if (search.incomplete !== null) return `incomplete: ${search.incomplete}`
    return search.states > 1 ? null : 'incomplete: no state was searched'
  }
  if (search.violated === violated) return null
  if (search.violated !== null) return `${search.violated} is broken, not ${violated}`
  return search.incomplete === null
    ? `no trace breaks ${violated}`
    : `incomplete: ${search.incomplete}`
}
