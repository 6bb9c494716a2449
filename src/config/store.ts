import * as z from 'zod'
import { pathField } from './fields.ts'

const sqliteStore = z.strictObject({
  type: z.literal('sqlite').describe('sqlite: one durable file'),
  path: pathField().describe('The database file; `keyspring store init` makes it'),
  kekFile: pathField().describe(
    'File with the key-encryption key that seals key material at rest, not readable by group or others; `keyspring store init` makes it',
  ),
})

const memoryStore = z.strictObject({
  type: z.literal('memory').describe('memory: for tests, all is lost at the end'),
})

export const storeSchema = z.discriminatedUnion('type', [sqliteStore, memoryStore])
