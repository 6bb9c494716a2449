import { describe, expect, test } from '@jest/globals'
import { HelloQuestion } from '../../src/links/hello-question.ts'
import { FakeClock, settle } from '../helpers/fake-clock.ts'

interface Asked {
  readonly answer: (text: string) => void
  readonly fail: (error: Error) => void
}

const makeQuestion = () => {
  const clock = new FakeClock({ startMs: 10_000 })
  const asked: Asked[] = []
  const question = new HelloQuestion<string>(
    clock,
    () =>
      new Promise((answer, fail) => {
        asked.push({ answer, fail })
      }),
  )
  return { clock, asked, question }
}

describe('a question to the peer', () => {
  test('is asked again when no answer comes, and whichever answer comes first counts', async () => {
    const { clock, asked, question } = makeQuestion()
    const answer = question.answer()
    await clock.advanceAsync(1_999)
    expect(asked).toHaveLength(1)
    await clock.advanceAsync(2_001)
    expect(asked).toHaveLength(3)
    asked[1]?.answer('second')
    expect(await answer).toBe('second')
    await clock.advanceAsync(60_000)
    expect(asked).toHaveLength(3)
    expect(clock.pendingTimers).toBe(0)
  })

  test('that was only slow is answered all the same', async () => {
    const { clock, asked, question } = makeQuestion()
    const answer = question.answer()
    await clock.advanceAsync(4_500)
    asked[0]?.answer('first')
    expect(await answer).toBe('first')
  })

  test('is asked at once when the peer is heard and the answer is overdue, and not before', async () => {
    const { clock, asked, question } = makeQuestion()
    const answer = question.answer()
    await clock.advanceAsync(499)
    question.heardFromPeer()
    expect(asked).toHaveLength(1)
    await clock.advanceAsync(1)
    // Two ends that hear each other ask do not keep each other asking.
    for (let i = 0; i < 5; i += 1) question.heardFromPeer()
    expect(asked).toHaveLength(2)
    asked[1]?.answer('second')
    expect(await answer).toBe('second')
    await clock.advanceAsync(10_000)
    question.heardFromPeer()
    expect(asked).toHaveLength(2)
  })

  test('that fails has failed, and the next begins anew', async () => {
    const { clock, asked, question } = makeQuestion()
    const answer = question.answer()
    await clock.advanceAsync(2_000)
    asked[1]?.fail(new Error('nobody there'))
    await expect(answer).rejects.toThrow('nobody there')
    // Of the first, given up by then, nobody hears any more.
    asked[0]?.fail(new Error('too late'))
    await settle()
    expect(clock.pendingTimers).toBe(0)
    const next = question.answer()
    expect(asked).toHaveLength(3)
    asked[2]?.answer('third')
    expect(await next).toBe('third')
  })
})
