import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { identityUrn } from '../../../src/pki/names.ts'
import { ROLES, type Role } from '../../../src/pki/roles.ts'
import type { LabIssuer } from '../../helpers/kme-lab.ts'
import { type TestCa, createTestCa } from '../../helpers/test-ca.ts'

/** Whatever year the clock shows. */
const VALIDITY = { notBefore: new Date('1990-01-01'), notAfter: new Date('2095-01-01') }

/** Certificates and revocation lists for a century, so that a moved clock is not refused for them. */
export const lastingIssuer = (): LabIssuer => {
  const authorities = new Map<Role, TestCa>()
  const authorityOf = (role: Role): TestCa => {
    const ca = authorities.get(role)
    if (!ca) throw new TypeError(`no CA of ${role}s`)
    return ca
  }
  return {
    async init(folder) {
      for (const role of ROLES) {
        const ca = await createTestCa({ name: `${role} CA`, ...VALIDITY })
        authorities.set(role, ca)
        await mkdir(join(folder, `${role}-ca`), { recursive: true, mode: 0o700 })
        await writeFile(join(folder, `${role}-ca`, 'ca.crt'), ca.ca)
        const crl = await ca.crl([], {
          thisUpdate: VALIDITY.notBefore,
          nextUpdate: VALIDITY.notAfter,
        })
        await writeFile(join(folder, `${role}-ca`, 'crl.pem'), crl)
      }
    },
    async issue(folder, { role, name }) {
      const { cert, key } = await authorityOf(role).issue(name, {
        ...VALIDITY,
        san: [`uri:${identityUrn(role, name)}`, 'dns:localhost', 'ip:127.0.0.1'],
      })
      const certFile = join(folder, `${role}-${name}.crt`)
      const keyFile = join(folder, `${role}-${name}.key`)
      await writeFile(certFile, cert)
      await writeFile(keyFile, key, { mode: 0o600 })
      return { certFile, keyFile, caFile: join(folder, 'kme-ca', 'ca.crt') }
    },
  }
}
