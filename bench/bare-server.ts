/**
 * The yardstick: node:https alone, with the certificates and the TLS settings of a KME's listener
 * for SAEs, that reads a request and answers with a constant of the same size. A program of its own.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { tlsProfile } from '../src/http/tls-profile.ts'
import { constantAnswer } from './operations.ts'

/** The one argument of this program, as JSON. */
export interface BareServerSettings {
  readonly host: string
  readonly port: number
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
  readonly crlFile: string
}

const IDLE_MS = 120_000

const { host, port, certFile, keyFile, caFile, crlFile } = JSON.parse(
  process.argv[2] ?? '',
) as BareServerSettings

const body = constantAnswer()
const headers = [
  'Content-Type',
  'application/json',
  'Content-Length',
  String(body.length),
  'Cache-Control',
  'no-store',
]

const server = createServer(
  {
    ...tlsProfile('TLSv1.2'),
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    ca: readFileSync(caFile),
    crl: readFileSync(crlFile),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    keepAliveTimeout: IDLE_MS,
    noDelay: true,
  },
  (request, response) => {
    request.resume()
    request.once('end', () => {
      response.writeHead(200, headers)
      response.end(body)
    })
  },
)
server.listen(port, host)
process.once('SIGTERM', () => {
  server.close()
  server.closeAllConnections()
})
