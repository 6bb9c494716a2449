import * as z from 'zod'
import type { OptionPath } from './problem.ts'
import { configSchema } from './schema.ts'

/** The parts of JSON Schema that zod writes and this folder reads. */
export interface SchemaNode {
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly description?: string
  readonly default?: unknown
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly multipleOf?: number
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly required?: readonly string[]
  readonly items?: SchemaNode
  readonly oneOf?: readonly SchemaNode[]
  readonly anyOf?: readonly SchemaNode[]
}

/** The format of the configuration file as JSON Schema (draft 2020-12), for editors and for the reference. */
export const configJsonSchema = (): SchemaNode =>
  z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as SchemaNode

/** The forms that a value may take: one, or several where a member (`type`, `driver`) chooses. */
export const formsOf = (node: SchemaNode): readonly SchemaNode[] =>
  node.oneOf ?? node.anyOf ?? [node]

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const own = (value: unknown, key: string | number): unknown =>
  typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string | number, unknown>>)[key]
    : undefined

/** Whether what the value says of itself (`type: sqlite`) rules the form out. */
const contradicts = (form: SchemaNode, value: unknown): boolean =>
  Object.entries(form.properties ?? {}).some(([name, member]) => {
    const said = own(value, name)
    return member.const !== undefined && said !== undefined && said !== member.const
  })

export const fittingForms = (node: SchemaNode, value: unknown): readonly SchemaNode[] => {
  const forms = formsOf(node)
  const fitting = isRecord(value) ? forms.filter((form) => !contradicts(form, value)) : forms
  return fitting.length > 0 ? fitting : forms
}

const step = (nodes: readonly SchemaNode[], value: unknown, key: string | number) =>
  nodes
    .flatMap((node) => fittingForms(node, value))
    .flatMap((form) => {
      if (typeof key === 'number') return form.items ?? []
      const properties = form.properties ?? {}
      return Object.hasOwn(properties, key) ? (properties[key] ?? []) : []
    })

/** Where a path of a given configuration leads to in the schema, and the value that stands there. */
export interface SchemaPlace {
  readonly value: unknown
  readonly description: string | undefined
  /** Whether numbers there must be whole. */
  readonly whole: boolean
  /** Names of the options that may stand there. */
  readonly members: readonly string[]
}

export const placeOf = (schema: SchemaNode, root: unknown, path: OptionPath): SchemaPlace => {
  let nodes: readonly SchemaNode[] = [schema]
  let value = root
  for (const key of path) {
    nodes = step(nodes, value, key)
    value = own(value, key)
  }
  const members = nodes
    .flatMap((node) => fittingForms(node, value))
    .flatMap((form) => Object.keys(form.properties ?? {}))
  return {
    value,
    description: nodes.find((node) => node.description !== undefined)?.description,
    whole: nodes.some((node) => node.type === 'integer'),
    members: [...new Set(members)],
  }
}
