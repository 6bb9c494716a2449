const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

/** A Markdown table; the first `texts` columns are text, the others figures. */
export const table = (
  head: readonly string[],
  rows: readonly (readonly string[])[],
  texts = 1,
): string =>
  [line(head), line(head.map((_, i) => (i < texts ? '---' : '--:'))), ...rows.map(line)].join('\n')
