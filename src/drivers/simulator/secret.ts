import { createHash, hkdfSync } from 'node:crypto'
import { KmeError, messageOf } from '../../errors.ts'
import { readSecretFile } from '../../support/secret-file.ts'
import { wipe } from '../../support/wipe.ts'

const MIN_SECRET_BYTES = 32
const PSK_BYTES = 32

/** What the ends of a device show and prove to each other. */
export interface SharedSecret {
  /** Public: names link and device without saying them. */
  readonly identity: string
  readonly key: Buffer
}

const read = async (path: string): Promise<Buffer> => {
  try {
    return await readSecretFile(path)
  } catch (error) {
    throw new KmeError('DRIVER_FAILED', `secretFile ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Reads the shared secret of the simulator's channel; the caller wipes its key. Only bytes derived
 * for this link and device are used.
 * @throws KmeError DRIVER_FAILED
 */
export const readSharedSecret = async (path: string, scope: string): Promise<SharedSecret> => {
  const secret = await read(path)
  try {
    if (secret.length < MIN_SECRET_BYTES) {
      throw new KmeError(
        'DRIVER_FAILED',
        `secretFile ${path} has ${secret.length} bytes: put ${MIN_SECRET_BYTES} random bytes or more into it, the same at both ends`,
      )
    }
    const key = Buffer.from(
      hkdfSync('sha256', secret, '', `keyspring simulator ${scope}`, PSK_BYTES),
    )
    const name = createHash('sha256').update(scope).digest('hex').slice(0, 32)
    return { identity: `keyspring-simulator-${name}`, key }
  } finally {
    wipe(secret)
  }
}
