import { describe, expect, test } from '@jest/globals'
import { figuresLine, rateText } from '../../src/demo/figures-line.ts'
import { lastMessage } from '../../src/demo/log-tail.ts'
import { PlainScreen, TerminalScreen } from '../../src/demo/screen.ts'
import { figures } from './fixture.ts'

const UP = '\x1b[1A\x1b[2K'

describe('what the demo shows', () => {
  test('a line for each KME has error rate, key rate and keys, and says what is wrong', () => {
    expect(figuresLine(figures('kme-a'))).toBe(
      'kme-a    QBER 1.59 %    secret key rate 6.00 kbit/s   keys stored 1,234',
    )
    const down = { ready: false, reason: 'does not answer', qber: null, secretKeyRateBps: null }
    expect(figuresLine(figures('kme-b', { ...down, keysStored: 0 }))).toBe(
      'kme-b    QBER -         secret key rate -             keys stored 0  (does not answer)',
    )
  })

  test.each([
    [0, '0 bit/s'],
    [999, '999 bit/s'],
    [5998, '6.00 kbit/s'],
    [1_323_000, '1.32 Mbit/s'],
  ])('a rate of %d bits per second reads %s', (bps, text) => {
    expect(rateText(bps)).toBe(text)
  })

  test('on a terminal the live lines are rewritten in place, never wider than it', () => {
    let written = ''
    const columns = 20
    const screen = new TerminalScreen({ columns, write: (text) => (written += text) })

    screen.live(['a 1', 'b 1'])
    screen.live(['a 2', 'b'.repeat(30)])
    screen.line('done')
    screen.live(['a 3'])

    expect(written).toBe(`a 1\nb 1\n${UP}${UP}a 2\n${'b'.repeat(19)}\ndone\na 3\n`)
  })

  test('elsewhere they are written now and then, and after anything else', () => {
    const lines: string[] = []
    let nowMs = 0
    const screen = new PlainScreen(
      (line) => lines.push(line),
      () => nowMs,
    )

    screen.live(['1'])
    screen.live(['2'])
    nowMs += 10_000
    screen.live(['3'])
    screen.line('done')
    screen.live(['4'])

    expect(lines).toEqual(['1', '3', 'done', '4'])
  })

  test.each([
    ['keyspring: the disk is full\n', 'the disk is full'],
    ['one\n{"level":"error","message":"two"}\n\n', 'two'],
    ['{"cut', '{"cut'],
    ['\n', undefined],
  ])('the last line of %j reads %j', (text, message) => {
    expect(lastMessage(text)).toBe(message)
  })
})
