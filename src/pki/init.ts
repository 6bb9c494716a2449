import { stat } from 'node:fs/promises'
import { KmeError } from '../errors.ts'
import type { KeyAlgorithm } from './algorithms.ts'
import {
  authorityCertificateFile,
  authorityCrlFile,
  authorityFolder,
  createAuthority,
} from './authority.ts'
import { type CrlOptions, writeCrl } from './crl.ts'
import { isMissing, makeFolder } from './files.ts'
import { ROLES, type Role } from './roles.ts'

export interface InitOptions {
  /** Default: p256. */
  readonly algorithm?: KeyAlgorithm
  /** Days until the first revocation lists are due; default 30. */
  readonly crlDays?: number
}

export interface AuthorityFiles {
  readonly role: Role
  readonly certFile: string
  readonly crlFile: string
}

const exists = async (path: string): Promise<boolean> => {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw new KmeError('PKI_INVALID', `${path} cannot be read`, { cause: error })
  }
}

export const authorityFiles = (dir: string): readonly AuthorityFiles[] =>
  ROLES.map((role) => ({
    role,
    certFile: authorityCertificateFile(dir, role),
    crlFile: authorityCrlFile(dir, role),
  }))

/**
 * Makes the three CAs of an installation in `dir`, each with an empty revocation list.
 * @throws KmeError PKI_INVALID where one of them is there already: nothing is touched then
 */
export const initAuthorities = async (
  dir: string,
  options: InitOptions = {},
): Promise<readonly AuthorityFiles[]> => {
  for (const role of ROLES) {
    const folder = authorityFolder(dir, role)
    if (await exists(folder)) {
      throw new KmeError('PKI_INVALID', `${folder} exists already: a CA is never overwritten`)
    }
  }
  await makeFolder(dir)
  const crl: CrlOptions = options.crlDays === undefined ? {} : { days: options.crlDays }
  for (const role of ROLES) {
    await createAuthority(dir, role, options.algorithm)
    await writeCrl(dir, role, crl)
  }
  return authorityFiles(dir)
}
