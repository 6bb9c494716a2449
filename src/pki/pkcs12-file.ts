import { randomBytes } from 'node:crypto'
import { KmeError } from '../errors.ts'
import { readSecretFile } from '../support/secret-file.ts'
import { wipe } from '../support/wipe.ts'
import { PRIVATE_MODE, writeNewFile } from './files.ts'
import { type Pkcs12Content, encodePkcs12 } from './pkcs12.ts'

/** Where the password of a bundle comes from: a file, or made up and written beside the bundle. */
export interface Pkcs12Secret {
  readonly passwordFile?: string
}

export interface WrittenPkcs12 {
  readonly pkcs12File: string
  readonly pkcs12PasswordFile?: string
}

const MADE_UP_BYTES = 24

const readPassword = async (file: string): Promise<string> => {
  const content = await readSecretFile(file)
  try {
    const password = content.toString('latin1').replace(/\r?\n$/, '')
    // Programs differ in how they encode other characters.
    if (/^[\x20-\x7e]+$/.test(password)) return password
    throw new KmeError('PKI_INVALID', `${file}: a password is one line of ASCII characters`)
  } finally {
    wipe(content)
  }
}

/** Writes the bundle (0600), and, where no password file is given, a new password to `FILE.password` (0600). */
export const writePkcs12 = async (
  file: string,
  secret: Pkcs12Secret,
  content: Pkcs12Content,
): Promise<WrittenPkcs12> => {
  if (secret.passwordFile !== undefined) {
    const password = await readPassword(secret.passwordFile)
    await writeNewFile(file, encodePkcs12(content, password), PRIVATE_MODE)
    return { pkcs12File: file }
  }
  const passwordFile = `${file}.password`
  const password = randomBytes(MADE_UP_BYTES).toString('base64url')
  await writeNewFile(passwordFile, `${password}\n`, PRIVATE_MODE)
  await writeNewFile(file, encodePkcs12(content, password), PRIVATE_MODE)
  return { pkcs12File: file, pkcs12PasswordFile: passwordFile }
}
