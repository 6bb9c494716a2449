import { describe, expect, test } from '@jest/globals'
import { keyFilesOptionsSchema } from '../../src/drivers/key-files/options.ts'
import { driverConfigSchema, driverPathFields } from '../../src/drivers/options.ts'
import { createDriver } from '../../src/drivers/registry.ts'
import { simulatorOptionsSchema } from '../../src/drivers/simulator/options.ts'
import type { ControlValue } from '../../src/ports/qkd-driver.ts'

const problemOf = (config: unknown): string => {
  const result = driverConfigSchema.safeParse(config)
  return result.success ? '' : result.error.issues.map(({ message }) => message).join('; ')
}

describe('driver options', () => {
  test('a simulator works with none, and shows its defaults', () => {
    expect(driverConfigSchema.parse({ driver: 'simulator' })).toEqual({
      driver: 'simulator',
      options: {
        preset: 'entry',
        lengthKm: 25,
        extraLossDb: 0,
        eavesdropper: 0,
        qberThreshold: 0.11,
        blockBytes: 4096,
        speedUp: 1,
        t0Ms: 0,
      },
    })
  })

  test('every option says what it is', () => {
    for (const schema of [simulatorOptionsSchema, keyFilesOptionsSchema]) {
      for (const option of Object.values(schema.shape)) expect(option.description).toMatch(/\w{3}/)
    }
  })

  test.each<[Record<string, ControlValue | object>, RegExp]>([
    [{ listen: { port: 1 } }, /needs `secretFile`/],
    [{ listen: { port: 1 }, connect: { port: 1 }, secretFile: 's' }, /one end listens/],
    [{ seed: 's', listen: { port: 1 } }, /`seed` needs no channel/],
    [{ seed: 's', secretFile: 's' }, /`seed` needs no channel/],
    [{ eavesdropper: 1.1 }, /<=1/],
    [{ blockBytes: 255 }, />=256/],
    [{ color: 'blue' }, /color/],
  ])('a simulator with %j is refused', (options, message) => {
    expect(problemOf({ driver: 'simulator', options })).toMatch(message)
  })

  test('key files need a folder, and blocks of at most 1 MiB', () => {
    expect(problemOf({ driver: 'key-files', options: {} })).toMatch(/string/)
    const options = { directory: 'd', recordBytes: 4096, blockRecords: 1024 }
    expect(problemOf({ driver: 'key-files', options })).toMatch(/at most 1 MiB/)
  })

  test('an unknown driver is refused', () => {
    expect(problemOf({ driver: 'telepathy', options: {} })).not.toBe('')
  })

  test('each driver is made by its name, and names its paths', () => {
    const configs = [
      { driver: 'simulator', options: { seed: 'a' } },
      { driver: 'key-files', options: { directory: 'd' } },
    ]
    for (const config of configs) {
      const parsed = driverConfigSchema.parse(config)
      expect(createDriver(parsed).type).toBe(config.driver)
      expect(driverPathFields[parsed.driver]).toHaveLength(1)
    }
  })
})
