import type { AdminParts, ReadyAnswer } from './admin-parts.ts'

export const readyAnswer = (parts: Pick<AdminParts, 'readiness'>): ReadyAnswer => {
  const reasons = parts.readiness()
  return { ready: reasons.length === 0, reasons }
}
