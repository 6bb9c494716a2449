import * as z from 'zod'
import { countField, hostField, milliseconds, nameField, pathField, portField } from './fields.ts'

const caSchema = z.strictObject({
  name: nameField().describe('Name by which SAEs, peers and identity rules refer to this CA'),
  files: z
    .array(pathField())
    .min(1)
    .describe('PEM files with the CA certificates: roots and intermediates, nothing else'),
  crlFile: z
    .exactOptional(pathField())
    .describe('PEM file with the revocation list of this CA, read again when it changes'),
  crlExpired: z
    .enum(['refuse', 'warn'])
    .default('refuse')
    .describe(
      'When the revocation list is past its next update: refuse every certificate of this CA, or only warn',
    ),
})

interface ListenerDefaults {
  readonly host: string
  readonly port: number
  readonly idleTimeoutMs: number
  readonly maxConnections: number
}

/** What every TLS listener has. Time-outs are per connection, so that a slow client delays nobody else. */
const tlsListener = (defaults: ListenerDefaults) => ({
  host: hostField()
    .default(defaults.host)
    .describe('Address to listen on; 0.0.0.0 is every IPv4 address, :: every address'),
  port: portField().default(defaults.port).describe('TCP port; 0 lets the system choose one'),
  certFile: pathField().describe(
    'PEM file with the certificate of this KME on this listener, then its intermediates',
  ),
  keyFile: pathField().describe(
    'PEM file with its private key, unencrypted, not readable by group or others',
  ),
  cas: z.array(caSchema).min(1).describe('CAs whose certificates are let in'),
  handshakeTimeoutMs: milliseconds(100)
    .default(10_000)
    .describe('Time for the TLS handshake, in milliseconds'),
  headersTimeoutMs: milliseconds(100)
    .default(10_000)
    .describe('Time for the headers of a request, in milliseconds'),
  bodyTimeoutMs: milliseconds(100)
    .default(15_000)
    .describe('Time for a whole request with its body, in milliseconds'),
  idleTimeoutMs: milliseconds(100)
    .default(defaults.idleTimeoutMs)
    .describe('A connection without a request is closed after this time, in milliseconds'),
  maxConnections: countField(1, 1_000_000)
    .default(defaults.maxConnections)
    .describe('Open connections at most; more are closed at once'),
})

const maxBodyBytes = () =>
  countField(1024, 16_777_216)
    .default(16_384)
    .describe('Size of a request body at most, in bytes; a larger one is answered 413')

const saeListener = z.strictObject({
  ...tlsListener({ host: '0.0.0.0', port: 8443, idleTimeoutMs: 120_000, maxConnections: 4096 }),
  minTlsVersion: z
    .enum(['TLSv1.2', 'TLSv1.3'])
    .default('TLSv1.2')
    .describe('Oldest TLS version that an SAE may speak'),
  maxConnectionsPerSae: countField(1, 1_000_000)
    .default(256)
    .describe('Open connections of one SAE at most; more are closed'),
  maxBodyBytes: maxBodyBytes(),
})

const peerListener = z.strictObject(
  tlsListener({ host: '0.0.0.0', port: 8444, idleTimeoutMs: 120_000, maxConnections: 256 }),
)

const adminListener = z.strictObject({
  ...tlsListener({ host: '127.0.0.1', port: 8445, idleTimeoutMs: 120_000, maxConnections: 64 }),
  maxBodyBytes: maxBodyBytes(),
})

const probesListener = z.strictObject({
  host: hostField().default('127.0.0.1').describe('Loopback address to listen on, without TLS'),
  port: z.exactOptional(portField()).describe('TCP port; either this or a socket'),
  socket: z
    .exactOptional(pathField())
    .describe('Unix socket instead of a port: the rights of its folder say who may connect'),
})

export const listenersSchema = z.strictObject({
  sae: saeListener.describe(
    'ETSI GS QKD 014 for the SAEs: mutual TLS 1.2 or newer, only /api/v1/keys',
  ),
  peer: z
    .exactOptional(peerListener)
    .describe(
      'For the KMEs at the other ends of the links: mutual TLS 1.3. Its certificate also serves for calls to them. Needed as soon as there is a peer',
    ),
  admin: adminListener.describe(
    'For operators: mutual TLS 1.3; every certificate of its CAs is an operator',
  ),
  probes: z
    .exactOptional(probesListener)
    .describe(
      'For orchestrators: plain HTTP on loopback or a Unix socket, GET /healthz and /readyz; off unless given',
    ),
})
