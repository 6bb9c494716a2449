import { KmeError } from '../../src/errors.ts'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'

const listener = (port: number, ca: string) => ({
  port,
  certFile: 'kme.pem',
  keyFile: 'kme.key',
  cas: [{ name: ca, files: ['ca.pem'] }],
})

export const keyFilesDevice = (id: string, role = 'leader', directory = `in-${id}-${role}`) => ({
  id,
  role,
  driver: 'key-files',
  options: { directory },
})

/** A small configuration that is fine, as plain data. */
export const draft = () => ({
  version: 1,
  kme: { id: 'kme-a' },
  listeners: {
    sae: listener(8443, 'saes'),
    peer: listener(8444, 'kmes'),
    admin: listener(8445, 'operators'),
  },
  store: { type: 'sqlite', path: 'kme.db', kekFile: 'kek.key' },
  identity: { rules: [{ ca: 'saes', from: 'cn' }] },
  saes: [{ id: 'sae-1', ca: 'saes' }],
  peers: [{ id: 'kme-b', host: 'kme-b.example', ca: 'kmes' }],
  links: [{ id: 'a-b', peer: 'kme-b', devices: [keyFilesDevice('d1')] }],
})

/** Options by their path, as in error messages, and what they become; `undefined` removes one. */
export type Edits = Readonly<Record<string, unknown>>

const edit = (config: object, path: string, value: unknown): void => {
  const steps = path.split(/[.[\]]+/).filter((step) => step !== '')
  const last = steps.pop() ?? ''
  let place = config as Record<string, unknown>
  for (const step of steps) place = place[step] as Record<string, unknown>
  place[last] = value
}

export const editedDraft = (edits: Edits = {}): object => {
  const config = draft()
  for (const [path, value] of Object.entries(edits)) edit(config, path, value)
  return config
}

export const parseDraft = (edits: Edits = {}): Config =>
  parseConfig(JSON.stringify(editedDraft(edits), null, 1), '/etc/keyspring/kme.yaml')

/** The lines of the CONFIG_INVALID error that the call ends with. */
export const problemLines = (call: () => unknown): readonly string[] => {
  try {
    call()
  } catch (error) {
    if (error instanceof KmeError && error.code === 'CONFIG_INVALID')
      return error.message.split('\n')
    throw error
  }
  throw new Error('the configuration was accepted')
}

/** The same without file and line, for an edited draft. */
export const problemsOf = (edits: Edits): readonly string[] =>
  problemLines(() => parseDraft(edits)).map((line) => line.replace(/^[^:]*:\d+: /, ''))
