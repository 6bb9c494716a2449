import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const TAIL_BYTES = 8192

const OWN_NAME = /^keyspring: /

const textOf = (line: string): string => {
  if (!line.startsWith('{')) return line.replace(OWN_NAME, '')
  try {
    const entry: unknown = JSON.parse(line)
    if (typeof entry !== 'object' || entry === null || !('message' in entry)) return line
    return typeof entry.message === 'string' ? entry.message : line
  } catch {
    return line
  }
}

/** The last line that a program wrote, for people: of a log line only its message. */
export const lastMessage = (text: string): string | undefined => {
  const line = text.trimEnd().split('\n').at(-1)?.trim()
  return line === undefined || line === '' ? undefined : textOf(line)
}

/** The end of a file, as much as a few lines need; empty where it cannot be read. */
export const readTail = (file: string): string => {
  try {
    const handle = openSync(file, 'r')
    try {
      const { size } = fstatSync(handle)
      const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES))
      const length = readSync(handle, bytes, 0, bytes.length, size - bytes.length)
      return bytes.toString('utf8', 0, length)
    } finally {
      closeSync(handle)
    }
  } catch {
    return ''
  }
}
