import { describe, expect, test } from '@jest/globals'
import type { StatusAnswer } from '../../src/admin/client.ts'
import { formatDuration, formatRate, statusText } from '../../src/cli/status-text.ts'
import { FakeKme, LINK } from '../admin/admin-fixture.ts'

const answer = (edits: Partial<StatusAnswer> = {}): StatusAnswer => ({
  kme: new FakeKme().kme(),
  ready: true,
  reasons: [],
  links: [LINK],
  alarms: [],
  ...edits,
})

describe('The state of a KME for people', () => {
  test('is a line for the KME and one for each device, and says what is no secret', () => {
    expect(statusText(answer())).toEqual([
      'KME kme-a: ready, version 0.0.0, up 1 min 30 s, 2 SAEs registered',
      'LINK  PEER   STATE  KEYS                DEVICE  STATE    QBER    RATE',
      'a-b   kme-b  ready  1 of 100 (256 bit)  dev-1   running  2.10 %  12.3 kbit/s  NOT SECRET',
    ])
  })

  test('tells each problem once', () => {
    const message = 'link a-b: the peer does not answer'
    const link = {
      ...LINK,
      state: 'down' as const,
      reason: 'the peer does not answer',
      devices: [],
    }
    const reasons = [{ code: 'no-session', message, linkId: 'a-b' }]
    const lines = statusText(answer({ ready: false, reasons, links: [link] }))
    expect(lines[0]).toContain('not ready')
    expect(lines.filter((line) => line.startsWith('! '))).toEqual([`! ${message}`])
  })

  test('names a link once where its reason names it already', () => {
    const reason = 'link a-b: KME kme-b cannot be agreed with: it says no'
    const lines = statusText(answer({ links: [{ ...LINK, reason }] }))
    expect(lines).toContain(`! ${reason}`)
  })

  test('lets no control character of a device or a peer reach the terminal', () => {
    const alarms = new FakeKme()
      .alarms()
      .map((one) => ({ ...one, message: 'key\u001b[2J\n\u009b!' }))
    expect(statusText(answer({ alarms })).at(-1)).toMatch(/: key\?\[2J\?\?!$/)
  })

  test('shows alarms, a ledger that is off, and a weak runtime', () => {
    const ledger = { ...LINK.ledger, balanced: false, differenceBytes: -32 }
    const kme = { ...answer().kme, runtime: { node: '24.0.0', warning: 'update Node' } }
    const alarms = new FakeKme().alarms()
    const lines = statusText(answer({ kme, links: [{ ...LINK, ledger }], alarms }))
    expect(lines).toContain('! link a-b: the ledger is off by -32 bytes')
    expect(lines).toContain('! major alarm since 2026: store')
    expect(lines).toContain('! update Node')
  })

  test.each([
    [null, '-'],
    [0, '0.00 bit/s'],
    [999, '999 bit/s'],
    [304_000, '304 kbit/s'],
    [13_700_000, '13.7 Mbit/s'],
    [2_500_000_000, '2.50 Gbit/s'],
  ])('writes a rate of %s as %s', (bps, text) => {
    expect(formatRate(bps)).toBe(text)
  })

  test.each([
    [0, '0 s'],
    [59.9, '59 s'],
    [61, '1 min 1 s'],
    [3_725, '1 h 2 min'],
    [273_600, '3 d 4 h'],
  ])('writes %s seconds as %s', (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text)
  })
})
