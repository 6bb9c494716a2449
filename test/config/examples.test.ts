import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { parseConfig } from '../../src/config/load.ts'
import { configReference, listOptions } from '../../src/config/reference.ts'

const read = (name: string) =>
  readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8')

const siteA = read('config/site-a.yaml')
const siteB = read('config/site-b.yaml')

const parse = (text: string) => parseConfig(text, '/config/site.yaml')

/** Lines that begin with "#" and no blank show a default. */
const withDefaultsShown = (text: string) => text.replaceAll(/^( *)#(?=[A-Za-z])/gm, '$1')

describe('the example of a pair', () => {
  test('is a configuration at both ends, one link between them, with one leader and one follower', () => {
    const [a, b] = [parse(siteA), parse(siteB)]
    expect(a.links[0]?.id).toBe(b.links[0]?.id)
    expect(a.links[0]?.peer).toBe(b.kme.id)
    expect(b.links[0]?.peer).toBe(a.kme.id)
    expect(a.links[0]?.devices[0]?.id).toBe(b.links[0]?.devices[0]?.id)
    expect([a.links[0]?.devices[0]?.role, b.links[0]?.devices[0]?.role]).toEqual([
      'leader',
      'follower',
    ])
  })

  test('runs on one machine: the ports differ, and each calls the port where the other listens', () => {
    const [a, b] = [parse(siteA), parse(siteB)]
    const ports = [a, b].flatMap(({ listeners }) =>
      [listeners.sae, listeners.peer, listeners.admin].map((each) => each?.port),
    )
    expect(new Set(ports).size).toBe(6)
    expect(a.peers[0]?.port).toBe(b.listeners.peer?.port)
    expect(b.peers[0]?.port).toBe(a.listeners.peer?.port)
  })

  test('shows true defaults: with every one of them written out it is the same configuration', () => {
    const shown = withDefaultsShown(siteA)
    expect(shown).not.toBe(siteA)
    expect(parse(shown)).toEqual(parse(siteA))
  })

  test.each([
    ['site-a.yaml', siteA],
    ['site-b.yaml', siteB],
  ])('has in %s a simulated device that can be put in the place of the real one', (_, text) => {
    const start = text.indexOf('#      - id: sim-1')
    const comment = text.slice(start, text.indexOf('secretFile', start)).split('\n')
    const block = [
      ...comment.map((line) => line.replace(/^#/, '')),
      '          secretFile: sim.key',
    ]
    const simulated = `${text.slice(0, text.indexOf('    devices:'))}    devices:\n${block.join('\n')}\nallowSimulated: true\n`
    expect(parse(simulated).links[0]?.devices[0]?.driver).toBe('simulator')
  })

  test.each(listOptions().map(({ option }) => option))('mentions the option %s', (option) => {
    const name = option.split('.').at(-1)?.replace('[]', '') ?? ''
    expect(siteA + siteB).toMatch(new RegExp(`\\b${name}\\b`))
  })
})

describe('docs/configuration.md', () => {
  test('is what `keyspring config reference` prints', () => {
    expect(read('docs/configuration.md').trim()).toBe(configReference().trim())
  })

  test.each(listOptions().map((entry) => [entry.option, entry] as const))(
    'says what %s means',
    (_, entry) => {
      expect(entry.description).not.toBe('')
    },
  )

  test('gives every number of time or size its unit in the name', () => {
    const numbers = listOptions().filter(({ values }) => /^(whole )?number/.test(values))
    const unitless = numbers
      .map(({ option }) => option.split('.').at(-1) ?? '')
      .filter((name) => /(time|timeout|deadline|lifetime|settle|size|body|water)/i.test(name))
      .filter((name) => !/(Ms|S|Bits|Bytes|Percent)$/.test(name))
    expect(unitless).toEqual([])
  })
})
