import * as z from 'zod'
import { identityTextProblem } from './identity-text.ts'

/** The identity rules as they stand in the configuration. */

export const ID_PLACE = '{id}'

/** Parts of a certificate that may name its holder. */
export const IDENTITY_SOURCES = [
  'cn', // the subject's common name; there must be exactly one
  'dn', // the whole subject, as RFC 4514 writes it
  'san-uri', // alternative names
  'san-dns',
  'san-email',
  'spki', // SHA-256 of the public key, looked up in `pins`
  'serial', // the serial number, lower-case hex without leading zeros
] as const

export type IdentitySource = (typeof IDENTITY_SOURCES)[number]

const FINGERPRINT = /^[0-9a-f]{64}$/

const caField = z
  .string()
  .min(1)
  .describe('Name of the CA, in `cas` of the listener, whose certificates this rule is for')

const fromField = z
  .enum(IDENTITY_SOURCES)
  .describe(
    'What of the certificate is the identity: cn (the one common name), dn (the subject as RFC 4514 writes it, as `openssl x509 -noout -subject -nameopt RFC2253,utf8,-esc_msb` shows it), san-uri, san-dns, san-email, spki (SHA-256 of the public key, see pins) or serial',
  )

const patternField = z
  .string()
  .refine(
    (pattern) => pattern.split(ID_PLACE).length === 2,
    `expected a text with ${ID_PLACE} in it once, for example urn:keyspring:sae:${ID_PLACE}`,
  )
  .describe(
    `Text around the identity, with ${ID_PLACE} in its place; values that do not fit are passed over. In a URI what stands for ${ID_PLACE} is percent-decoded`,
  )

const pinnedId = z.string().refine((id) => identityTextProblem(id) === null, 'is no identity')

const pinsField = z
  .record(z.string().regex(FINGERPRINT, 'expected 64 lower-case hex digits'), pinnedId)
  .describe(
    'For spki: fingerprint (`keyspring pki inspect` shows it, 64 lower-case hex digits) to identity',
  )

/** One rule. An identity is what one rule reads from one certificate of one CA. */
export const identityRuleSchema = z
  .strictObject({
    ca: caField,
    from: fromField,
    pattern: z.exactOptional(patternField),
    pins: z.exactOptional(pinsField),
    allowMissingEku: z
      .boolean()
      .default(false)
      .describe('Whether certificates without any extended key usage are accepted by this rule'),
  })
  .check((context) => {
    const { from, pattern, pins } = context.value
    const report = (path: string, message: string): void => {
      context.issues.push({ code: 'custom', path: [path], message, input: context.value })
    }
    if (from === 'spki' && pins === undefined) report('pins', 'is missing: `from: spki` needs it')
    if (from !== 'spki' && pins !== undefined) report('pins', 'is only for `from: spki`')
    if (from === 'spki' && pattern !== undefined) report('pattern', 'is not for `from: spki`')
  })

type Parsed = z.output<typeof identityRuleSchema>

export type IdentityRule = Readonly<Omit<Parsed, 'pins'>> & {
  readonly pins?: Readonly<Record<string, string>>
}
