import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestCa, type TestIssueOptions, createTestCa } from '../helpers/test-ca.ts'
import { type Edits, editedDraft } from './sample.ts'

/** A folder with a configuration and every file that it names, made for one test. */
export interface Site extends AsyncDisposable {
  readonly folder: string
  readonly file: string
  readonly ca: TestCa
  readonly path: (name: string) => string
  /** Writes the configuration, edited; one option per line. */
  readonly configure: (edits?: Edits) => Promise<void>
  readonly write: (name: string, content: string | Buffer, mode?: number) => Promise<void>
  /** Issues a certificate into kme.pem and kme.key. */
  readonly certify: (options?: TestIssueOptions) => Promise<void>
}

export const createSite = async (ca?: TestCa): Promise<Site> => {
  const folder = await mkdtemp(join(tmpdir(), 'keyspring config '))
  const authority = ca ?? (await createTestCa())
  const path = (name: string) => join(folder, name)
  const write = async (name: string, content: string | Buffer, mode = 0o600) => {
    await mkdir(join(path(name), '..'), { recursive: true })
    await writeFile(path(name), content)
    await chmod(path(name), mode)
  }
  const site: Site = {
    folder,
    file: path('kme.yaml'),
    ca: authority,
    path,
    write,
    configure: (edits) => write('kme.yaml', JSON.stringify(editedDraft(edits), null, 1), 0o644),
    certify: async (options) => {
      const issued = await authority.issue('kme-a', options)
      await write('kme.pem', issued.cert, 0o644)
      await write('kme.key', issued.key)
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  }
  await site.configure()
  await site.certify()
  await write('ca.pem', authority.ca, 0o644)
  return site
}

export const errorLines = async (call: Promise<unknown>): Promise<readonly string[]> => {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof Error)) throw new Error('the configuration was accepted')
  return error.message.split('\n')
}
