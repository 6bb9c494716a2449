/**
 * Replaces what stands between the two marker comments of a Markdown page.
 * @throws Error where the page does not have both, once, in order
 */
export const replaceSection = (page: string, name: string, text: string): string => {
  const begin = `<!-- ${name}: begin -->`
  const end = `<!-- ${name}: end -->`
  const parts = page.split(begin)
  const rest = parts[1]?.split(end)
  const [before] = parts
  if (parts.length !== 2 || before === undefined || rest?.length !== 2) {
    throw new Error(`the page needs "${begin}" and, after it, "${end}", each once`)
  }
  return `${before}${begin}\n\n${text.trim()}\n\n${end}${rest[1] ?? ''}`
}
