/** What a table of runs says of one model. */

/** `works`: when nothing more can happen, the link works; and no store is taken for one that was put back but was not. */
export type Promised = 'P1' | 'P2' | 'P3' | 'P4' | 'P5' | 'P6' | 'works'

export interface Configuration {
  readonly name: string
  readonly title: string
  /** Macros of the model. */
  readonly defines: readonly string[]
}

interface Variant {
  /** Of a mutant, what is taken away: one name, or several with `+`. */
  readonly name: string
  /** What a mutant leaves out, or what a witness run looks for. */
  readonly title: string
  /** The clean configuration of the same size that it stands beside. */
  readonly configuration: string
  /** Macros besides those of the configuration. */
  readonly also?: readonly string[]
}

export interface Mutant extends Variant {
  /** A rule of docs/protocol.md, by its short name. */
  readonly rule: string
  /** Null: nothing, for other rules cover it. */
  readonly breaks: Promised | null
}

export type Witness = Variant

export interface Model {
  /** In docs/model. */
  readonly file: string
  readonly configurations: readonly Configuration[]
  readonly mutants: readonly Mutant[]
  readonly witnesses: readonly Witness[]
}

export const configuration = (
  name: string,
  title: string,
  ...defines: readonly string[]
): Configuration => ({ name, title, defines })

export const mutant = (
  name: string,
  breaks: Promised | null,
  configuration: string,
  rule: string,
  title: string,
): Mutant => ({ name, breaks, configuration, rule, title })

export const witness = (name: string, configuration: string, title: string): Witness => ({
  name,
  configuration,
  title,
})
