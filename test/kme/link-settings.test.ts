import { expect, test } from '@jest/globals'
import { peerTimeoutMs } from '../../src/kme/link-settings.ts'

test('a peer has at least as long for its answer as a delivery may wait for it', () => {
  expect(peerTimeoutMs({ confirmDeadlineMs: 30_000 })).toBe(30_000)
  expect(peerTimeoutMs({ confirmDeadlineMs: 50 })).toBeGreaterThan(1_000)
})
