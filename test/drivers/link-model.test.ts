import { describe, expect, test } from '@jest/globals'
import { linkConditions, type LinkModelOptions } from '../../src/drivers/simulator/link-model.ts'
import { PRESETS, type PresetName } from '../../src/drivers/simulator/presets.ts'

const fibre = { lengthKm: 0, extraLossDb: 0, eavesdropper: 0 }

const options = (preset: PresetName, more: Partial<LinkModelOptions> = {}): LinkModelOptions => ({
  ...fibre,
  preset,
  qberThreshold: 0.11,
  ...more,
})

const atLoss = (preset: PresetName, lossDb: number) =>
  linkConditions(options(preset), { ...fibre, lengthKm: lossDb / 0.2 })

describe.each(['metro-hi', 'entry'] as const)('preset %s', (preset) => {
  test('gives the rate and QBER of each cell of its table at that loss', () => {
    for (const cell of PRESETS[preset]) {
      const { secretKeyRateBps, qber, lossDb } = atLoss(preset, cell.lossDb)
      expect(lossDb).toBeCloseTo(cell.lossDb, 9)
      expect(secretKeyRateBps).toBeCloseTo(cell.rateBps, 5)
      expect(qber).toBeCloseTo(cell.qber, 9)
    }
  })

  test('never gains rate nor loses errors with more loss', () => {
    let last = atLoss(preset, 0)
    for (let lossDb = 0.1; lossDb < 30; lossDb += 0.1) {
      const next = atLoss(preset, lossDb)
      expect(next.secretKeyRateBps).toBeLessThanOrEqual(last.secretKeyRateBps)
      expect(next.qber).toBeGreaterThanOrEqual(last.qber)
      last = next
    }
    expect(last.secretKeyRateBps).toBe(0)
    expect(last.reason).toMatch(/^no key can be made at QBER/)
  })
})

test('between two cells the log of the rate is linear, and so is the QBER', () => {
  const { secretKeyRateBps, qber } = atLoss('entry', 4)
  expect(secretKeyRateBps).toBeCloseTo(Math.sqrt(6457 * 5998), 3)
  expect(qber).toBeCloseTo(0.01575, 9)
})

test('past the last cell with a rate the rate falls linearly to nothing', () => {
  expect(atLoss('metro-hi', 21).secretKeyRateBps).toBeCloseTo(97, 6)
  expect(atLoss('entry', 19.5).secretKeyRateBps).toBeCloseTo(4.8, 6)
  expect(atLoss('entry', 25).secretKeyRateBps).toBe(0)
})

test('below the first cell the first cell holds', () => {
  expect(atLoss('entry', 0)).toMatchObject({ secretKeyRateBps: 6457 })
  expect(atLoss('entry', 0).qber).toBeCloseTo(0.0156, 12)
})

test('25 km of fibre are 5 dB, and extra loss adds to them', () => {
  const conditions = linkConditions(options('entry'), { ...fibre, lengthKm: 25, extraLossDb: 3 })
  expect(conditions).toMatchObject({ lossDb: 8, secretKeyRateBps: 5007, qber: 0.0168 })
})

describe('an eavesdropper', () => {
  const measured = (eavesdropper: number, qberThreshold = 0.11) =>
    linkConditions(options('entry', { qberThreshold }), { ...fibre, lengthKm: 25, eavesdropper })

  test('on a tenth of the light adds 2.5 % of errors and costs the rate what they leak', () => {
    const { qber, secretKeyRateBps, reason } = measured(0.1)
    expect(qber).toBeCloseTo(0.0409, 9)
    // 5998 b/s times (1 - 2.16 h(0.0409)) / (1 - 2.16 h(0.0159)).
    expect(secretKeyRateBps).toBeCloseTo(3762.73, 2)
    expect(reason).toBeNull()
  })

  test('who leaves no secret stops the key below the threshold', () => {
    const { qber, secretKeyRateBps, reason } = measured(0.35)
    expect(qber).toBeCloseTo(0.1034, 9)
    expect(secretKeyRateBps).toBe(0)
    expect(reason).toBe('no key can be made at QBER 10.3 % and 5.0 dB')
  })

  test('above the threshold there is no key, and the reason names both', () => {
    expect(measured(0.1, 0.04)).toMatchObject({
      secretKeyRateBps: 0,
      reason: 'QBER 4.1 % is above the threshold of 4.0 %: no key is made',
    })
    expect(measured(1).qber).toBeCloseTo(0.2659, 9)
    expect(measured(1).secretKeyRateBps).toBe(0)
  })
})

test('an explicit rate and QBER hold as configured and follow the preset from there', () => {
  const explicit = options('entry', { lengthKm: 25, secretKeyRateBps: 1000, qber: 0.02 })
  expect(linkConditions(explicit, explicit)).toMatchObject({ secretKeyRateBps: 1000, qber: 0.02 })
  const bent = linkConditions(explicit, { ...explicit, extraLossDb: 3 })
  expect(bent.secretKeyRateBps).toBeCloseTo((1000 * 5007) / 5998, 6)
  expect(bent.qber).toBeCloseTo(0.0209, 9)
})
