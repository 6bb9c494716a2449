import { describe, expect, test } from '@jest/globals'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inProject } from './project.ts'

interface Instruction {
  readonly name: string
  readonly value: string
}

const readInstructions = (): Instruction[] =>
  readFileSync(inProject('Dockerfile'), 'utf8')
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', value = ''] = /^\s*(\w+)\s+(.*)$/.exec(line) ?? []
      return { name: name.toUpperCase(), value: value.trim() }
    })

const instructions = readInstructions()
const valuesOf = (name: string, from = instructions): string[] =>
  from.filter((instruction) => instruction.name === name).map(({ value }) => value)
const lastStage = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'))

/** The sources of the COPY instructions that take from the build context. */
const copiedFromContext = valuesOf('COPY')
  .filter((value) => !value.includes('--from='))
  .flatMap((value) => value.split(/\s+/).slice(0, -1))

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly files: readonly string[]
}
const manifest = JSON.parse(readFileSync(inProject('package.json'), 'utf8')) as Manifest

describe('Dockerfile', () => {
  test('uses instructions that exist', () => {
    const known = 'ARG FROM WORKDIR COPY RUN ENV USER EXPOSE VOLUME ENTRYPOINT CMD'.split(' ')

    expect(instructions.filter(({ name }) => !known.includes(name))).toEqual([])
  })

  test('runs as a numbered user that is not root, and stays it', () => {
    expect(valuesOf('USER', lastStage)).toEqual(['1000:1000'])
    const afterUser = lastStage.slice(lastStage.findIndex(({ name }) => name === 'USER') + 1)
    expect(afterUser.map(({ name }) => name)).toEqual(['EXPOSE', 'ENTRYPOINT', 'CMD'])
  })

  test('is based on a supported Node by tag, never on the latest', () => {
    expect(valuesOf('ARG')).toEqual([expect.stringMatching(/^BASE=node:24-[a-z-]+$/)])
    expect(valuesOf('FROM')).toEqual(['${BASE} AS build', '${BASE}'])
  })

  test('fetches nothing but locked packages, which run no code', () => {
    expect(valuesOf('ADD')).toEqual([])
    for (const command of valuesOf('RUN')) {
      expect(command).not.toMatch(/curl|wget|https?:|\|\s*(ba)?sh|npm (i|install)\b/)
    }
    expect(valuesOf('RUN').filter((command) => command.includes('npm ci'))).toHaveLength(1)
    expect(copiedFromContext).toEqual(expect.arrayContaining(['package-lock.json', '.npmrc']))
  })

  test('ships neither development packages nor a second Node', () => {
    expect(valuesOf('RUN').join('\n')).toContain('npm prune --omit=dev --omit=optional')
  })

  test('copies only what exists and what the build context lets through', () => {
    const passes = readFileSync(inProject('.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))

    expect(copiedFromContext.filter((source) => !existsSync(inProject(source)))).toEqual([])
    expect(copiedFromContext.filter((source) => !passes.includes(source))).toEqual([])
    expect(passes.filter((source) => !copiedFromContext.includes(source))).toEqual([])
  })

  test('starts the launcher that the package publishes, with serve as the default command', () => {
    const [node, launcher = ''] = JSON.parse(
      valuesOf('ENTRYPOINT', lastStage)[0] ?? '[]',
    ) as string[]

    expect(node).toBe('node')
    expect(launcher).toBe(manifest.bin['keyspring'])
    expect(existsSync(inProject(launcher))).toBe(true)
    expect(manifest.files).toEqual(expect.arrayContaining(['bin', 'dist']))
    expect(JSON.parse(valuesOf('CMD', lastStage)[0] ?? '[]')).toEqual([
      'serve',
      '-c',
      '/etc/keyspring/kme.yaml',
    ])
  })

  test('copies the build output to where the launcher looks for it', () => {
    const outDir = (
      JSON.parse(readFileSync(inProject('tsconfig.build.json'), 'utf8')) as {
        compilerOptions: { outDir: string }
      }
    ).compilerOptions.outDir
    const launcher = readFileSync(inProject('bin/keyspring.js'), 'utf8')

    expect(valuesOf('COPY', lastStage)).toContain(`--from=build /build/${outDir}/ ${outDir}/`)
    expect(launcher).toContain(`'../${join(outDir, 'cli/main.js')}'`)
    expect(valuesOf('COPY', lastStage).join('\n')).not.toContain('src/')
  })

  test('exposes the listeners of SAEs, peers and operators', () => {
    expect(valuesOf('EXPOSE')).toEqual(['8443 8444 8445'])
  })
})
