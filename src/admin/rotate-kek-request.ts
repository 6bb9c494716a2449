import { AdminError } from './admin-errors.ts'
import type { RotateKekRequest } from './admin-parts.ts'

const KEK_ID = /^[0-9a-f]{16}$/

/** @throws AdminError 400 */
export const readRotateKekRequest = (body: unknown): RotateKekRequest => {
  const members = typeof body === 'object' && body !== null ? Object.entries(body) : []
  const [name, kekId] = members.length === 1 ? (members[0] ?? []) : []
  if (name === 'kekId' && typeof kekId === 'string' && KEK_ID.test(kekId)) return { kekId }
  throw new AdminError(400, 'the body must be an object with kekId, 16 hex digits, alone')
}
