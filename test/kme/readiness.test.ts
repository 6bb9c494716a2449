import { expect, test } from '@jest/globals'
import { adminParts, type ViewParts } from '../../src/kme/views.ts'

/** A KME without links whose store has been committing for so long. */
const codesOf = (commitMs: number, fault: string | null = null): readonly string[] => {
  const parts = {
    config: { saes: [{ id: 'sae-a' }] },
    links: [],
    store: { commitMs },
    storeFault: () => fault,
  } as unknown as ViewParts
  return adminParts(parts)
    .readiness()
    .map(({ code }) => code)
}

test('a KME whose disk hangs is not ready, one whose disk is slow is', () => {
  expect(codesOf(0)).toEqual(['no-links'])
  expect(codesOf(2_000)).toEqual(['no-links'])
  expect(codesOf(60_000)).toEqual(['store-hangs', 'no-links'])
})

test('a store that has failed is the reason, whatever it was doing', () => {
  expect(codesOf(60_000, 'the disk is broken')).toEqual(['store-failed', 'no-links'])
})
