import { type AdminAppOptions, createAdminApp } from '../../src/admin/admin-app.ts'
import type { AdminParts, LinkView, ReadyReason } from '../../src/admin/admin-parts.ts'
import { KmeError } from '../../src/errors.ts'
import { emptyLedger } from '../../src/model/ledger.ts'
import type { ControlValue } from '../../src/ports/qkd-driver.ts'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { adminErrorBody } from '../../src/admin/admin-errors.ts'
import { identifyOperator } from '../../src/http/identify-from.ts'
import { startListener } from '../../src/http/listener.ts'
import { byOperators } from '../../src/identity/identify.ts'
import { IdentityResolver } from '../../src/identity/resolver.ts'
import { TrustStore } from '../../src/identity/trust-store.ts'
import { systemClock } from '../../src/support/system-clock.ts'
import { type TestCa, createTestCa } from '../helpers/test-ca.ts'
import { LIMITS, RecordingObserver, addressPort } from '../http/listener-fixture.ts'

export const LINK: LinkView = {
  linkId: 'a-b',
  peerKmeId: 'kme-b',
  end: 'verifier',
  state: 'ready',
  reason: null,
  confirm: 'peer',
  epoch: { counter: 1, id: '0'.repeat(32) },
  life: 2,
  peerLife: 3,
  lanes: [
    {
      lane: 'verifier',
      owner: 'this',
      appendedBytes: 64,
      usableBytes: 64,
      consumedBytes: 32,
      grantedBytes: 0,
      availableBytes: 32,
    },
    {
      lane: 'follower',
      owner: 'peer',
      appendedBytes: 64,
      usableBytes: 64,
      consumedBytes: 0,
      grantedBytes: 0,
      availableBytes: 64,
    },
  ],
  ledger: { ...emptyLedger(), balanced: true, differenceBytes: 0 },
  keys: { deliverable: 1, sizeBits: 256, max: 100 },
  devices: [
    {
      deviceId: 'dev-1',
      driver: 'simulator',
      role: 'leader',
      state: 'running',
      reason: null,
      provenance: 'simulated',
      secretKeyRateBps: 12_345,
      qber: 0.021,
      lossDb: 5,
      bufferedBytes: 0,
      controls: { eavesdropper: 0 },
    },
  ],
  pending: { confirms: 0, unverifiedBytes: 0, unfetchedBytes: 0 },
  provenance: ['simulated'],
}

export class FakeKme implements AdminParts {
  reasons: ReadyReason[] = []
  broken = false
  readonly controlled: [string, string, string, ControlValue][] = []
  kme: AdminParts['kme'] = () => ({
    kmeId: 'kme-a',
    version: '0.0.0',
    startedAt: '2026-01-02T03:04:05.678Z',
    uptimeS: 90,
    runtime: { node: '24.0.0', warning: null },
    registeredSaes: 2,
    allowSimulated: true,
  })
  links: AdminParts['links'] = async () => {
    if (this.broken) throw new KmeError('STORE_FAILED', 'disk is full at /secret/place')
    return [LINK]
  }
  readiness: AdminParts['readiness'] = () => this.reasons
  alarms: AdminParts['alarms'] = () => [
    {
      name: 'simulated-keys',
      severity: 'minor',
      linkId: 'a-b',
      message: 'simulated',
      since: '2026',
      times: 1,
    },
    { name: 'store-failed', severity: 'major', message: 'store', since: '2026', times: 1 },
  ]
  readonly rotatedTo: string[] = []
  rotateKek: AdminParts['rotateKek'] = async (kekId) => {
    if (kekId === 'f'.repeat(16)) throw new KmeError('SEALING_FAILED', 'another KEK')
    this.rotatedTo.push(kekId)
  }
  control: AdminParts['control'] = async (linkId, deviceId, name, value) => {
    if (name !== 'eavesdropper') throw new KmeError('BAD_REQUEST', `no switch ${name}`)
    this.controlled.push([linkId, deviceId, name, value])
  }
}

export const adminWorld = (options: Partial<AdminAppOptions> = {}) => {
  const kme = new FakeKme()
  const observer = new RecordingObserver()
  const app = createAdminApp(kme, {
    operatorOf: () => 'olga',
    observer,
    maxBodyBytes: 1024,
    ...options,
  })
  return { kme, observer, app }
}

/** The operator API on a listener of its own, with a CA for operators and one for KMEs. */
export interface AdminWorld {
  readonly folder: string
  readonly operators: TestCa
  readonly kmes: TestCa
  /** PEM. Its names fit no address of this machine but 127.0.0.1. */
  readonly serverCert: string
  readonly port: number
  readonly kme: FakeKme
  path(name: string): string
  close(): Promise<void>
}

export const startAdminWorld = async (): Promise<AdminWorld> => {
  const folder = await mkdtemp(join(tmpdir(), 'ks-admin-'))
  const path = (name: string): string => join(folder, name)
  const [operators, kmes] = [await createTestCa(), await createTestCa()]
  const server = await kmes.issue('kme-a', { san: ['dns:kme-a.example', 'ip:127.0.0.1'] })
  await writeFile(path('cert.pem'), server.cert)
  await writeFile(path('key.pem'), server.key, { mode: 0o600 })
  await writeFile(path('operators.pem'), operators.ca)
  const observer = new RecordingObserver()
  const cas = [{ name: 'operators', files: [path('operators.pem')] }]
  const trust = await TrustStore.load({ cas, clock: systemClock, observer })
  const identify = byOperators(['operators'])
  const resolver = new IdentityResolver({ trust, identify, clock: systemClock })
  const operatorOf = identifyOperator(resolver)
  const { kme, app } = adminWorld({ operatorOf })
  const listener = await startListener({
    name: 'admin',
    address: { host: '127.0.0.1', port: 0 },
    handler: app,
    errorBody: adminErrorBody,
    limits: LIMITS,
    observer,
    tls: {
      certFile: path('cert.pem'),
      keyFile: path('key.pem'),
      minVersion: 'TLSv1.3',
      handshakeTimeoutMs: 10_000,
      trust,
      stillAllowed: (socket) => operatorOf({ socket }) !== null,
    },
  })
  const close = async (): Promise<void> => {
    await listener.close({ drainMs: 0 })
    await rm(folder, { recursive: true, force: true })
  }
  const port = addressPort(listener)
  return { folder, operators, kmes, serverCert: server.cert, port, kme, path, close }
}
