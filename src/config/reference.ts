import { PATH_FORMAT } from './fields.ts'
import { type SchemaNode, configJsonSchema, formsOf } from './schema-view.ts'

/** One option as the reference shows it. */
export interface OptionEntry {
  /** As in error messages, with `[]` for an entry of a list: `links[].keySizeBits`. */
  readonly option: string
  readonly description: string
  readonly values: string
  /** As JSON; undefined where there is none. */
  readonly default: string | undefined
  readonly required: boolean
  /** `driver: simulator`, where the option exists only with it. */
  readonly only: string | undefined
}

const isGroup = (node: SchemaNode): boolean =>
  formsOf(node).some((form) => form.properties !== undefined)

const range = (node: SchemaNode): string => {
  const { minimum, maximum, exclusiveMinimum } = node
  const least =
    minimum ?? (exclusiveMinimum === undefined ? undefined : `above ${String(exclusiveMinimum)}`)
  const most = maximum === undefined || maximum >= Number.MAX_SAFE_INTEGER ? undefined : maximum
  if (least === undefined) return ''
  return most === undefined ? `, ${String(least)} or more` : `, ${String(least)} to ${String(most)}`
}

const NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'whole number',
  number: 'number',
  boolean: '`true` or `false`',
  object: 'pairs of text',
}

const word = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))

const valuesOf = (node: SchemaNode): string => {
  if (node.const !== undefined) return `\`${word(node.const)}\``
  if (node.enum !== undefined) return node.enum.map((value) => `\`${word(value)}\``).join(', ')
  if (node.items !== undefined) {
    return isGroup(node.items) ? 'list of groups' : `list: ${valuesOf(node.items)}`
  }
  if (isGroup(node)) return 'group'
  if (node.format === PATH_FORMAT) return 'path'
  const name = NAMES[typeof node.type === 'string' ? node.type : ''] ?? 'text'
  const multiple = node.multipleOf === undefined ? '' : `, multiple of ${String(node.multipleOf)}`
  return `${name}${range(node)}${multiple}`
}

/** What tells one form of a group from the others: `driver: simulator`. */
const nameOfForm = (form: SchemaNode, count: number): string | undefined => {
  if (count === 1) return undefined
  const choice = Object.entries(form.properties ?? {}).find(
    ([, member]) => member.const !== undefined,
  )
  return choice && `${choice[0]}: ${word(choice[1].const)}`
}

const defaultOf = (node: SchemaNode): string | undefined => {
  if (node.default === undefined || isGroup(node)) return undefined
  return JSON.stringify(node.default)
}

const entriesOf = (node: SchemaNode, prefix: string, only: string | undefined): OptionEntry[] => {
  if (node.items !== undefined) return entriesOf(node.items, `${prefix}[]`, only)
  const forms = formsOf(node)
  return forms.flatMap((form) => {
    const condition = nameOfForm(form, forms.length) ?? only
    return Object.entries(form.properties ?? {}).flatMap(([name, member]) => {
      const option = prefix === '' ? name : `${prefix}.${name}`
      const entry: OptionEntry = {
        option,
        description: member.description ?? '',
        values: valuesOf(member),
        default: defaultOf(member),
        required: form.required?.includes(name) ?? false,
        only: condition,
      }
      return [entry, ...entriesOf(member, option, condition)]
    })
  })
}

const groupBy = (
  entries: readonly OptionEntry[],
  nameOf: (entry: OptionEntry) => string,
): ReadonlyMap<string, readonly OptionEntry[]> => {
  const groups = new Map<string, OptionEntry[]>()
  for (const entry of entries) {
    groups.set(nameOf(entry), [...(groups.get(nameOf(entry)) ?? []), entry])
  }
  return groups
}

const merge = (entries: readonly OptionEntry[]): OptionEntry => {
  const [first] = entries as readonly [OptionEntry]
  if (entries.length === 1) return first
  const values = [...new Set(entries.map((entry) => entry.values))].join(' or ')
  const texts = entries.map((entry) => entry.description).filter((text) => text !== '')
  const description = [...new Set(texts)].join('. ')
  return { ...first, values, description, only: undefined }
}

/** Every option of the configuration file, in the order of the schema; one that several forms share, once. */
export const listOptions = (): readonly OptionEntry[] => {
  const byName = groupBy(entriesOf(configJsonSchema(), '', undefined), (entry) => entry.option)
  return [...byName.values()].map(merge)
}

const cell = (text: string): string => text.replaceAll('|', '\\|')

const defaultCell = (entry: OptionEntry): string => {
  if (entry.default !== undefined) return `\`${entry.default}\``
  return entry.required ? '**required**' : '-'
}

const row = (entry: OptionEntry): string => {
  const only = entry.only === undefined ? '' : ` (only with \`${entry.only}\`)`
  const cells = [
    `\`${entry.option}\``,
    entry.values,
    defaultCell(entry),
    `${entry.description}${only}`,
  ]
  return `| ${cells.map(cell).join(' | ')} |`
}

const TABLE_HEAD = ['| option | value | default | meaning |', '|---|---|---|---|']

const INTRODUCTION = `# Configuration

One YAML file per KME. \`keyspring config check -c FILE\` reads it, checks it and every file that it names, and says in
words what would run. The examples \`config/site-a.yaml\` and \`config/site-b.yaml\` are a pair that runs on one machine.

This page is made from the schema by \`keyspring config reference\`, and a test compares them. With \`--json\` the same
command prints a JSON Schema, with which many editors complete and check the file while it is written.

## Rules

- An option that is not listed here is refused, so that a typing error is never silently ignored.
- Relative paths start at the folder of the configuration file.
- The unit is in the name of an option: \`Ms\` milliseconds, \`S\` seconds, \`Bits\`, \`Bytes\`, \`Percent\`.
- Names of links and devices are the same at both ends of a link.
- Private keys and the file with the key-encryption key must be regular files that neither group nor others can access
  (mode 0600 or 0400). Files below the credentials directory that systemd gives a service are excepted.
- An error is one line with file, line and option, all errors are told at once, and the exit code is 2:
  \`config/site-a.yaml:12: links[0].keySizeBits: expected a multiple of 8, got 257\`
`

const titleOf = (option: string): string => option.split(/[.[]/, 1)[0] ?? option

const section = ([title, entries]: readonly [string, readonly OptionEntry[]]): string =>
  [`## \`${title}\``, '', ...TABLE_HEAD, ...entries.map(row), ''].join('\n')

/** The page docs/configuration.md. */
export const configReference = (): string => {
  const sections = groupBy(listOptions(), (entry) => titleOf(entry.option))
  return [INTRODUCTION, ...[...sections].map(section)].join('\n')
}
