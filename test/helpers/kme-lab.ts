import { randomBytes, randomInt } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { initAuthorities } from '../../src/pki/init.ts'
import { issueCertificate } from '../../src/pki/issue.ts'
import { revokeCertificate } from '../../src/pki/revoke.ts'
import type { Role } from '../../src/pki/roles.ts'

export const HOST = '127.0.0.1'

/**
 * Below the range from which systems take the ports of outgoing connections: while a KME is down
 * no connection of somebody else can take its port.
 */
const FIRST_PORT = 12_000
const LAST_PORT = 32_000

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  try {
    server.listen({ host: HOST, port })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** Ports that nobody listens on now; somebody may a moment later, so who starts tries again. */
export const freePorts = async (count: number): Promise<readonly number[]> => {
  const ports = new Set<number>()
  while (ports.size < count) {
    const port = randomInt(FIRST_PORT, LAST_PORT)
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  return [...ports]
}

/** Files and what is in them, as PEM. */
export interface LabCertificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: Buffer
  readonly key: Buffer
  /** Verifies every KME of the lab. */
  readonly ca: Buffer
}

export interface KmeLabOptions {
  /** Makes the authorities and certificates; default: as an operator does, with src/pki. */
  readonly issuer?: LabIssuer
}

/** Makes certificates where src/pki would put them. */
export interface LabIssuer {
  readonly init: (folder: string) => Promise<unknown>
  readonly issue: (
    folder: string,
    options: { readonly role: Role; readonly name: string },
  ) => Promise<Pick<LabCertificate, 'certFile' | 'keyFile'> & { readonly caFile: string }>
}

const OPERATOR_ISSUER: LabIssuer = { init: initAuthorities, issue: issueCertificate }

/** A folder with the certificates of some KMEs, their SAEs and an operator. */
export class KmeLab {
  /** It has blanks in its name, for somebody's home has. */
  readonly folder: string
  readonly #issuer: LabIssuer
  readonly #certificates = new Map<string, Promise<LabCertificate>>()

  private constructor(folder: string, issuer: LabIssuer) {
    this.folder = folder
    this.#issuer = issuer
  }

  static async make({ issuer = OPERATOR_ISSUER }: KmeLabOptions = {}): Promise<KmeLab> {
    const lab = new KmeLab(await mkdtemp(join(tmpdir(), 'two kmes ')), issuer)
    await issuer.init(lab.path('pki'))
    await writeFile(lab.path('simulator.key'), randomBytes(32), { mode: 0o600 })
    return lab
  }

  path(...parts: readonly string[]): string {
    return join(this.folder, ...parts)
  }

  /** The certificate of that name: always the same one. */
  certificate(role: Role, name: string): Promise<LabCertificate> {
    const key = `${role} ${name}`
    const certificate = this.#certificates.get(key) ?? this.#issue(role, name)
    this.#certificates.set(key, certificate)
    return certificate
  }

  /** `listeners.*.cas` for one kind of party. */
  ca(role: Role): Readonly<Record<string, unknown>> {
    return {
      name: `${role}-ca`,
      files: [this.#caFile(role)],
      crlFile: this.path('pki', `${role}-ca`, 'crl.pem'),
    }
  }

  /** Takes effect at the KMEs when they look at the list again. */
  async revoke(role: Role, name: string): Promise<void> {
    await revokeCertificate(this.path('pki'), name, { role })
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }

  #caFile(role: Role): string {
    return this.path('pki', `${role}-ca`, 'ca.crt')
  }

  async #issue(role: Role, name: string): Promise<LabCertificate> {
    const { certFile, keyFile, caFile } = await this.#issuer.issue(this.path('pki'), { role, name })
    const [cert, key, ca] = await Promise.all(
      [certFile, keyFile, caFile].map((file) => readFile(file)),
    )
    if (!cert || !key || !ca) throw new TypeError('three files')
    return { certFile, keyFile, cert, key, ca }
  }
}
