import {
  type Document,
  LineCounter,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from 'yaml'
import { messageOf } from '../errors.ts'
import { type OptionPath, type Problem, quote } from './problem.ts'

/** A configuration's text as plain values, and where in the text each of them is. */
export interface YamlSource {
  readonly value: unknown
  /** What makes the text no acceptable YAML; `value` counts only where this is empty. */
  readonly problems: readonly Problem[]
  /** The line of an option, from 1; of the nearest one above it that is in the file, where it is not. */
  readonly lineOf: (path: OptionPath) => number
}

/** Aliases are handy for time-outs that repeat; more than this is no configuration. */
const MAX_ALIASES = 100

/** Levels of the syntax tree; the deepest option has about twenty. */
const MAX_DEPTH = 64
const TOO_DEEP = 'nested too deeply for a configuration'
const STACK_OVERFLOW = /call stack size|stack overflow/i

const keyOf = (pair: Pair): string | undefined =>
  isScalar(pair.key) ? String(pair.key.value) : undefined

const startOf = (node: unknown): number | undefined =>
  (node as Node | null | undefined)?.range?.[0] ?? undefined

const resolved = (node: unknown, document: Document): unknown =>
  isAlias(node) ? node.resolve(document) : node

/** One step down: the node there and where its text begins (at the key, for a member). */
const stepInto = (node: unknown, step: string | number) => {
  if (isMap(node)) {
    const pair = node.items.find((item) => keyOf(item) === String(step))
    return pair && { node: pair.value, start: startOf(pair.key) }
  }
  if (!isSeq(node) || typeof step !== 'number') return undefined
  const item = node.items[step]
  return item === undefined ? undefined : { node: item, start: startOf(item) }
}

const offsetOf = (document: Document, path: OptionPath): number => {
  let node: unknown = document.contents
  let offset = startOf(node) ?? 0
  for (const step of path) {
    const next = stepInto(resolved(node, document), step)
    if (next === undefined) break
    node = next.node
    offset = next.start ?? offset
  }
  return offset
}

const repeatedKeys = (map: YAMLMap): readonly Scalar[] => {
  const seen = new Set<string>()
  return map.items.flatMap(({ key }) => {
    if (!isScalar(key)) return []
    const name = String(key.value)
    if (seen.has(name)) return [key]
    seen.add(name)
    return []
  })
}

/** What YAML allows and a configuration does not need: names twice, other names than words, tags, very many aliases. */
const strangeProblems = (document: Document, lineAt: (offset: number) => number): Problem[] => {
  const found: Problem[] = []
  let aliases = 0
  const report = (node: unknown, message: string) => {
    found.push({ path: [], line: lineAt(startOf(node) ?? 0), message })
  }
  const checkNode = (node: Node, ancestors: readonly unknown[]) => {
    if (node.tag !== undefined) report(node, `the tag ${node.tag} has no place in a configuration`)
    if (ancestors.length <= MAX_DEPTH) return undefined
    report(node, TOO_DEEP)
    return visit.BREAK
  }
  visit(document, {
    Alias: (_, node) => {
      aliases += 1
      if (aliases === MAX_ALIASES + 1) report(node, `more than ${String(MAX_ALIASES)} aliases`)
    },
    Map: (_, map, ancestors) => {
      for (const key of repeatedKeys(map)) report(key, `${quote(key.value)} is there twice`)
      return checkNode(map, ancestors)
    },
    Pair: (_, { key }) => {
      if (isCollection(key) || isAlias(key)) report(key, 'an option name must be a word')
    },
    Node: (_, node, ancestors) => checkNode(node, ancestors),
  })
  return found
}

const firstLine = (text: string): string => text.split('\n', 1)[0] ?? text

const syntaxProblem = (error: { readonly code: string; readonly message: string }): string => {
  if (error.code === 'MULTIPLE_DOCS') {
    return 'a configuration is one document: remove the "---" that begins another'
  }
  // The parser meets its own limit before ours can be checked.
  if (STACK_OVERFLOW.test(error.message)) return TOO_DEEP
  return `not valid YAML: ${firstLine(error.message)}`
}

const plainValue = (document: Document): { value: unknown } | { problem: string } => {
  try {
    return { value: document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown }
  } catch (error) {
    // An alias without anchor, one inside its own anchor, or too many of them.
    return { problem: `not valid YAML: ${firstLine(messageOf(error))}` }
  }
}

/** Reads text as YAML 1.2. Never throws on what the text holds: see `problems`. */
export const readYaml = (text: string): YamlSource => {
  const lineCounter = new LineCounter()
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    // Checked below: the library compares each key with every other.
    uniqueKeys: false,
    version: '1.2',
    schema: 'core',
    logLevel: 'error',
  })
  const lineAt = (offset: number): number => Math.max(1, lineCounter.linePos(offset).line)
  const lineOf = (path: OptionPath): number => lineAt(offsetOf(document, path))
  const problems: Problem[] = [...document.errors, ...document.warnings].map((error) => ({
    path: [],
    line: lineAt(error.pos[0]),
    message: syntaxProblem(error),
  }))
  if (problems.length > 0) return { value: undefined, problems: distinct(problems), lineOf }
  problems.push(...strangeProblems(document, lineAt))
  if (problems.length > 0) return { value: undefined, problems, lineOf }
  if (document.contents === null) {
    return { value: undefined, problems: [{ path: [], line: 1, message: EMPTY }], lineOf }
  }
  const plain = plainValue(document)
  return 'value' in plain
    ? { value: plain.value, problems, lineOf }
    : { value: undefined, problems: [{ path: [], line: 1, message: plain.problem }], lineOf }
}

/** One slip often breaks several rules of the grammar: each is told once per line, the deepest tree alone. */
const distinct = (problems: readonly Problem[]): readonly Problem[] => {
  const tooDeep = problems.find(({ message }) => message === TOO_DEEP)
  if (tooDeep !== undefined) return [tooDeep]
  const byText = new Map(problems.map((each) => [`${String(each.line)} ${each.message}`, each]))
  return [...byText.values()]
}

const EMPTY = 'the file holds no configuration: start from an example in config/'
