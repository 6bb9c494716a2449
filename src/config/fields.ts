import * as z from 'zod'
import { identityTextProblem } from '../identity/identity-text.ts'

/** Building blocks of the schema: one per kind of value, so that the same value is checked the same way everywhere. */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

/** A name that goes into URLs, metrics and logs: of a link, a device or a CA. */
export const nameField = (): z.ZodString =>
  z
    .string()
    .regex(
      NAME,
      'expected 1 to 64 letters, digits, ".", "_" or "-", beginning with a letter or digit',
    )

/** The identity of an SAE or KME: any text that a certificate can give, compared exactly (ETSI GS QKD 014 leaves the format free). */
export const identityField = (): z.ZodString =>
  z.string().check((context) => {
    const message = identityTextProblem(context.value)
    if (message !== null) context.issues.push({ code: 'custom', message, input: context.value })
  })

/** Marks paths in the JSON Schema of the configuration; they are resolved by this mark. */
export const PATH_FORMAT = 'path'

/** A file or folder, relative to the folder of the configuration file. */
export const pathField = (): z.ZodString =>
  z
    .string()
    .min(1)
    .refine((path) => !path.includes('\0'), 'a path holds no NUL')
    .meta({ format: PATH_FORMAT })

/** A host name or IP address, without brackets and port. */
export const hostField = (): z.ZodString =>
  z.string().regex(/^[^\s/[\]@]{1,255}$/, 'expected a host name or an IP address, without a port')

/** A TCP port; 0 lets the system choose one (tests). */
export const portField = (): z.ZodInt => z.int().min(0).max(65_535)

export const countField = (min: number, max: number): z.ZodInt => z.int().min(min).max(max)

const HOUR_MS = 3_600_000
export const milliseconds = (min: number, max = HOUR_MS): z.ZodInt => z.int().min(min).max(max)

const YEAR_S = 31_536_000
export const seconds = (min: number, max = YEAR_S): z.ZodInt => z.int().min(min).max(max)

const KEY_SIZE_STEP_BITS = 8
const SMALLEST_KEY_BITS = 64
const LARGEST_KEY_BITS = 4096

/** A key size in bits: whole bytes, within what this version delivers. */
export const keySizeBits = (): z.ZodInt =>
  z.int().multipleOf(KEY_SIZE_STEP_BITS).min(SMALLEST_KEY_BITS).max(LARGEST_KEY_BITS)
