import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { authorityCertificateFile, authorityCrlFile } from '../src/pki/authority.ts'
import { initAuthorities } from '../src/pki/init.ts'
import { issueCertificate } from '../src/pki/issue.ts'
import type { Role } from '../src/pki/roles.ts'

/** Files of one party. */
export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** What a client needs: PEM. */
export interface ClientTls {
  readonly cert: Buffer
  readonly key: Buffer
  /** Verifies the KMEs and the bare server. */
  readonly ca: Buffer
}

/** The CAs of one run, and what they issue. */
export class Certificates {
  readonly #dir: string

  private constructor(dir: string) {
    this.#dir = dir
  }

  static async make(dir: string): Promise<Certificates> {
    await initAuthorities(dir)
    return new Certificates(dir)
  }

  caFile(role: Role): string {
    return authorityCertificateFile(this.#dir, role)
  }

  crlFile(role: Role): string {
    return authorityCrlFile(this.#dir, role)
  }

  async issue(role: Role, name: string): Promise<CertificateFiles> {
    const out = join(this.#dir, 'issued', role)
    const { certFile, keyFile } = await issueCertificate(this.#dir, { role, name, out })
    return { certFile, keyFile }
  }

  async issueClient(role: Role, name: string): Promise<ClientTls> {
    const { certFile, keyFile } = await this.issue(role, name)
    return {
      cert: await readFile(certFile),
      key: await readFile(keyFile),
      ca: await readFile(this.caFile('kme')),
    }
  }
}
