/**
 * The `cor` layout: keys of one size, one after the other, without a header. What is left at the
 * end and fills no key is left out.
 */
export interface CorLayout {
  readonly recordBytes: number
  readonly blockRecords: number
}

export const COR = { streamId: 'cor', suffix: '.cor' } as const

export interface CorBlock {
  /** File name and number of the first key: the same at both ends, whatever they read first. */
  readonly vendorId: string
  readonly firstRecord: number
  readonly records: number
  readonly offsetBytes: number
  readonly lengthBytes: number
}

export const recordsIn = (sizeBytes: number, { recordBytes }: CorLayout): number =>
  Math.floor(sizeBytes / recordBytes)

/** Bytes at the end of the file that fill no key. */
export const leftOverBytes = (sizeBytes: number, { recordBytes }: CorLayout): number =>
  sizeBytes % recordBytes

/** The block that begins at a record; null at the end of the file. */
export const blockAt = (
  file: { readonly name: string; readonly sizeBytes: number },
  firstRecord: number,
  layout: CorLayout,
): CorBlock | null => {
  const records = Math.min(layout.blockRecords, recordsIn(file.sizeBytes, layout) - firstRecord)
  if (records <= 0) return null
  return {
    vendorId: `${file.name}:${firstRecord}`,
    firstRecord,
    records,
    offsetBytes: firstRecord * layout.recordBytes,
    lengthBytes: records * layout.recordBytes,
  }
}

/** Blocks of the file from a record to its end. */
export const blocksFrom = (sizeBytes: number, record: number, layout: CorLayout): number =>
  Math.max(0, Math.ceil((recordsIn(sizeBytes, layout) - record) / layout.blockRecords))
