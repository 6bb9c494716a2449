import { timingSafeEqual } from 'node:crypto'
import { KmeError } from '../errors.ts'
import { wipe } from '../support/wipe.ts'
import type { DemoClients } from './clients.ts'
import type { DemoLayout } from './layout.ts'
import type { Delivered } from './report.ts'

/**
 * The SAE at A draws a key, that at B fetches it by its ID, and the bytes are compared.
 * @throws KmeError INTERNAL where they differ; whatever the clients throw
 */
export const deliverOneKey = async (
  layout: DemoLayout,
  clients: DemoClients,
): Promise<Delivered> => {
  const { a, b } = layout
  const drawn = await clients.drawKey(layout, a, b.saeId)
  try {
    const fetched = await clients.fetchKey(layout, b, a.saeId, drawn.keyId)
    try {
      const same =
        drawn.key.length === fetched.key.length && timingSafeEqual(drawn.key, fetched.key)
      if (!same) {
        throw new KmeError('INTERNAL', `the two KMEs gave different bytes for ${drawn.keyId}`)
      }
      const sizeBits = drawn.key.length * 8
      return { keyId: drawn.keyId, sizeBits, master: a.saeId, slave: b.saeId }
    } finally {
      wipe(fetched.key)
    }
  } finally {
    wipe(drawn.key)
  }
}
