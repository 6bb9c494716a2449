import { type OptionPath, type Problem, quote } from './problem.ts'
import { nearest } from './suggest.ts'

/** Collects problems, with the two questions that many checks ask. */
export class ProblemList {
  readonly #problems: Problem[] = []

  get all(): readonly Problem[] {
    return this.#problems
  }

  add(path: OptionPath, message: string): void {
    this.#problems.push({ path, message })
  }

  /** Reports each entry of a list whose member (`id`, `name`) an earlier entry has as well. */
  unique(list: OptionPath, member: string, values: readonly string[]): void {
    const seen = new Map<string, number>()
    values.forEach((value, index) => {
      const first = seen.get(value)
      if (first === undefined) seen.set(value, index)
      else
        this.add([...list, index, member], `${quote(value)} is taken by entry [${String(first)}]`)
    })
  }

  /** Reports a name that is not among those it may refer to. */
  known(path: OptionPath, name: string, names: readonly string[], otherwise: string): void {
    if (names.includes(name)) return
    const hint = nearest(name, names)
    const meant = hint === undefined ? '' : `; did you mean ${hint}?`
    this.add(path, `${otherwise}: ${quote(name)}${meant}`)
  }
}
