import { KmeError } from '../../errors.ts'

/**
 * Frames of the simulator's own channel: length (4 bytes, big-endian, of what follows), type (1
 * byte), body. Everything is bounded before it is kept.
 */
export const FRAME = {
  hello: 1,
  /** Follower: how far in the leader's stream of key it wants blocks. */
  want: 2,
  /** Leader: one block. */
  block: 3,
  /** Follower: blocks up to this one are safe with it. */
  taken: 4,
  /** Leader: the state of the link. */
  state: 5,
  /** Follower: a switch of the link, and the leader's answer. */
  control: 6,
  controlled: 7,
  /** Shows that the end is alive. */
  beat: 8,
} as const

export type FrameType = (typeof FRAME)[keyof typeof FRAME]

export interface Frame {
  readonly type: FrameType
  readonly body: Buffer
}

const HEADER_BYTES = 5
const TYPE_BYTES = 1
const MAX_MESSAGE_BYTES = 4096
/** Sequence number, position in the stream, QBER. */
const BLOCK_HEADER_BYTES = 24
const MAX_BLOCK_BYTES = BLOCK_HEADER_BYTES + 1024 * 1024

const broken = (what: string): KmeError =>
  new KmeError('PROTOCOL', `the other end of the simulated device sent ${what}`)

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(FRAME))
const isFrameType = (value: number): value is FrameType => KNOWN_TYPES.has(value)

export const encodeFrame = (type: FrameType, body: Buffer): Buffer => {
  const frame = Buffer.allocUnsafeSlow(HEADER_BYTES + body.length)
  frame.writeUInt32BE(TYPE_BYTES + body.length)
  frame.writeUInt8(type, 4)
  body.copy(frame, HEADER_BYTES)
  return frame
}

/** Cuts a byte stream into frames. Key material passes through: the reader wipes what it kept. */
export class FrameReader {
  #kept: Buffer = Buffer.alloc(0)

  /** @throws KmeError PROTOCOL on a frame that cannot be */
  read(chunk: Buffer): Frame[] {
    const bytes = this.#kept.length === 0 ? chunk : Buffer.concat([this.#kept, chunk])
    this.#kept.fill(0)
    const frames: Frame[] = []
    let at = 0
    for (let end = frameEnd(bytes, at); end !== null; end = frameEnd(bytes, at)) {
      const type = bytes.readUInt8(at + 4)
      if (!isFrameType(type)) throw broken(`a frame of unknown type ${type}`)
      frames.push({ type, body: copyOf(bytes, at + HEADER_BYTES, end) })
      at = end
    }
    this.#kept = copyOf(bytes, at, bytes.length)
    bytes.fill(0)
    return frames
  }

  wipe(): void {
    this.#kept.fill(0)
    this.#kept = Buffer.alloc(0)
  }
}

/** Not of the shared pool, so that wiping it wipes the only copy. */
const copyOf = (bytes: Buffer, from: number, to: number): Buffer => {
  const copy = Buffer.allocUnsafeSlow(to - from)
  bytes.copy(copy, 0, from, to)
  return copy
}

const frameEnd = (bytes: Buffer, at: number): number | null => {
  if (bytes.length - at < HEADER_BYTES) return null
  const length = bytes.readUInt32BE(at)
  const most = bytes.readUInt8(at + 4) === FRAME.block ? MAX_BLOCK_BYTES : MAX_MESSAGE_BYTES
  if (length < TYPE_BYTES || length > TYPE_BYTES + most) throw broken(`a frame of ${length} bytes`)
  const end = at + HEADER_BYTES - TYPE_BYTES + length
  return end <= bytes.length ? end : null
}

export type Message = Readonly<Record<string, unknown>>

export const encodeMessage = (type: FrameType, message: Message): Buffer =>
  encodeFrame(type, Buffer.from(JSON.stringify(message)))

/** @throws KmeError PROTOCOL */
export const decodeMessage = (body: Buffer): Message => {
  try {
    const value: unknown = JSON.parse(body.toString())
    if (typeof value === 'object' && value !== null) return value as Message
  } catch {
    // Said below: the text of the parser's error would repeat what was sent.
  }
  throw broken('a message that is no JSON object')
}

/** @throws KmeError PROTOCOL */
export const wholeNumber = (message: Message, name: string): number => {
  const value = message[name]
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw broken(`a message without the number "${name}"`)
}

/** @throws KmeError PROTOCOL */
export const text = (message: Message, name: string): string => {
  const value = message[name]
  if (typeof value === 'string') return value
  throw broken(`a message without the text "${name}"`)
}

export interface ShippedBlock {
  /** 1, 2, 3, ... in the leader's session. */
  readonly sequence: number
  /** Bytes of the session up to the end of this block. */
  readonly position: number
  readonly qber: number
  readonly material: Buffer
}

export const encodeBlock = (block: ShippedBlock): Buffer => {
  const body = Buffer.allocUnsafeSlow(BLOCK_HEADER_BYTES + block.material.length)
  body.writeBigUInt64BE(BigInt(block.sequence), 0)
  body.writeBigUInt64BE(BigInt(block.position), 8)
  body.writeDoubleBE(block.qber, 16)
  block.material.copy(body, BLOCK_HEADER_BYTES)
  const frame = encodeFrame(FRAME.block, body)
  body.fill(0)
  return frame
}

/** Takes the body over. @throws KmeError PROTOCOL */
export const decodeBlock = (body: Buffer): ShippedBlock => {
  if (body.length <= BLOCK_HEADER_BYTES) throw broken('a block without key')
  const sequence = Number(body.readBigUInt64BE(0))
  const position = Number(body.readBigUInt64BE(8))
  const qber = body.readDoubleBE(16)
  const sane = Number.isSafeInteger(sequence) && Number.isSafeInteger(position)
  if (!sane || !(qber >= 0 && qber <= 1)) throw broken('a block with an impossible header')
  return { sequence, position, qber, material: body.subarray(BLOCK_HEADER_BYTES) }
}
