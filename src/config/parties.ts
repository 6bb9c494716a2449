import * as z from 'zod'
import { hostField, identityField, nameField, countField } from './fields.ts'

/** Who this KME is and whom it knows: itself, its SAEs, its peers. */

export const kmeSchema = z.strictObject({
  id: identityField().describe('Identity of this KME, 1 to 291 characters, told to SAEs and peers'),
})

export const saeSchema = z.strictObject({
  id: identityField().describe(
    'SAE ID, 1 to 291 characters, compared exactly with what the identity rules read from the certificate',
  ),
  ca: nameField().describe('The CA of `listeners.sae.cas` that its certificate must come from'),
  loopback: z
    .boolean()
    .default(false)
    .describe('Whether this SAE may name itself as its slave (tests of an application)'),
})

export const peerSchema = z.strictObject({
  id: identityField().describe('Identity of the peer KME, as in its own `kme.id`'),
  host: hostField().describe('Where its peer listener is reached'),
  port: countField(1, 65_535).default(8444).describe('TCP port of its peer listener'),
  certIdentity: z
    .exactOptional(identityField())
    .describe(
      'Identity in its certificate (common name, or a DNS or URI alternative name), where that is not its KME ID',
    ),
  ca: nameField().describe('The CA of `listeners.peer.cas` that its certificate must come from'),
})
