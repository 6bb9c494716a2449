import { stat } from 'node:fs/promises'
import { messageOf } from '../errors.ts'

const signatureOf = async (file: string): Promise<string> => {
  try {
    const { mtimeNs, ctimeNs, size, ino } = await stat(file, { bigint: true })
    return [mtimeNs, ctimeNs, size, ino].join(' ')
  } catch (error) {
    return `unreadable: ${messageOf(error)}`
  }
}

/** What changes whenever one of the files does: also a file renamed into its place. */
export const fileSignature = async (...files: readonly string[]): Promise<string> =>
  (await Promise.all(files.map(signatureOf))).join('\n')
