import { expect, test } from '@jest/globals'
import { Dice } from '../links/chaos/dice.ts'
import { planKills } from './scenarios/kill.ts'

test('the same seed gives the same kills, another seed others', () => {
  const plan = (seed: number) => planKills(new Dice(seed), 50)
  expect(plan(5)).toEqual(plan(5))
  expect(plan(6)).not.toEqual(plan(5))
})

test('a kill comes after 50 operations or more, and either KME is killed, also both at once', () => {
  const kills = planKills(new Dice(1), 50)
  expect(kills.every(({ afterOperations }) => afterOperations >= 50)).toBe(true)
  expect(new Set(kills.map(({ victims }) => victims.join()))).toEqual(new Set(['a', 'b', 'a,b']))
})
