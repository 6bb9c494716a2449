import { AdminError } from './admin-errors.ts'
import type { ControlRequest } from './admin-parts.ts'

const MAX_TEXT_CHARACTERS = 256

const isShortText = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && value.length <= MAX_TEXT_CHARACTERS

/** @throws AdminError 400 */
export const readControlRequest = (body: unknown): ControlRequest => {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AdminError(400, 'the body must be an object with name and value')
  }
  const { name, value, ...rest } = body as Record<string, unknown>
  if (Object.keys(rest).length > 0) {
    throw new AdminError(400, 'the body has members besides name and value')
  }
  if (!isShortText(name)) throw new AdminError(400, 'name must be the name of a switch')
  if (isShortText(value) || typeof value === 'boolean' || Number.isFinite(value)) {
    return { name, value: value as ControlRequest['value'] }
  }
  throw new AdminError(400, 'value must be a text, a finite number, true or false')
}
