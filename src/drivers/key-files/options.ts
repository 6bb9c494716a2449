import * as z from 'zod'

const MIB = 1024 * 1024

/** A block of key files is at most this long. */
const MAX_BLOCK_BYTES = MIB

/**
 * Options of the key-file hand-off. `recordBytes` and `blockRecords` are equal at both ends: a
 * block is named by its file and first record, so other values make other blocks of one name.
 */
export const keyFilesOptionsSchema = z
  .strictObject({
    directory: z
      .string()
      .min(1)
      .describe(
        'Folder into which the device puts its files, one per device; a relative path starts at the configuration file',
      ),
    format: z
      .enum(['cor'])
      .default('cor')
      .describe('Layout of the files: `cor` is keys one after the other, without a header'),
    recordBytes: z
      .int()
      .min(8)
      .max(4096)
      .default(32)
      .describe('Size of a key in a file, in bytes; a part of a key at the end is left out'),
    blockRecords: z
      .int()
      .min(1)
      .max(65_536)
      .default(2048)
      .describe('Keys of a file that are taken together as one block, at most 1 MiB'),
    settleMs: z
      .int()
      .min(10)
      .max(3_600_000)
      .default(2000)
      .describe(
        'A file counts as complete when it was not seen changing for so long, in milliseconds',
      ),
    pollMs: z
      .int()
      .min(10)
      .max(60_000)
      .default(1000)
      .describe(
        'How often the folder is looked at, in milliseconds; change notices only make it sooner',
      ),
    maxFileBytes: z
      .int()
      .min(1)
      .max(16 * 1024 * MIB)
      .default(256 * MIB)
      .describe('A larger file is refused, in bytes'),
    maxFiles: z
      .int()
      .min(1)
      .max(100_000)
      .default(10_000)
      .describe('More files than this in the folder stop the device until someone clears it'),
    afterRead: z
      .enum(['delete', 'keep'])
      .default('delete')
      .describe(
        'What becomes of a file whose key is safely stored: overwritten and removed, or kept',
      ),
    quarantinedFiles: z
      .enum(['delete', 'keep'])
      .default('delete')
      .describe(
        'What becomes of a file with bad key: overwritten and removed, or renamed to end in `.quarantined`',
      ),
    ownerUids: z
      .array(z.int().min(0))
      .max(16)
      .default([])
      .describe('User IDs that may own files, beside root and the user that runs the KME'),
    provenance: z
      .enum(['hardware', 'emulated'])
      .default('hardware')
      .describe('Shown in status: `emulated` where no QKD device writes the files'),
  })
  .superRefine((options, context) => {
    if (options.recordBytes * options.blockRecords > MAX_BLOCK_BYTES) {
      context.addIssue({
        code: 'custom',
        path: ['blockRecords'],
        message: 'a block (`recordBytes` times `blockRecords`) is at most 1 MiB',
      })
    }
    if (options.recordBytes > options.maxFileBytes) {
      context.addIssue({
        code: 'custom',
        path: ['maxFileBytes'],
        message: 'no file of this size holds a key of `recordBytes`',
      })
    }
  })

export type KeyFilesOptions = z.output<typeof keyFilesOptionsSchema>

/** Options that name files or folders: relative ones start at the folder of the configuration file. */
export const keyFilesPathFields = ['directory'] as const
