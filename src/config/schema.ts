import * as z from 'zod'
import { identityRuleSchema } from '../identity/rule.ts'
import { linkSchema } from './links.ts'
import { listenersSchema } from './listeners.ts'
import { kmeSchema, peerSchema, saeSchema } from './parties.ts'
import { storeSchema } from './store.ts'

/** The configuration file: every option that there is. An option that is not here is refused. */
export const configSchema = z.strictObject({
  version: z.literal(1).describe('Version of this format: 1'),
  kme: kmeSchema.describe('This KME'),
  listeners: listenersSchema.describe('Where this KME is reached, and by whom'),
  store: storeSchema.describe('Where key material and the state of the links are kept'),
  identity: z
    .strictObject({
      rules: z
        .array(identityRuleSchema)
        .min(1)
        .describe('Rules, each for one CA: which part of a certificate is the SAE ID'),
    })
    .describe('How the SAE ID is read from a client certificate'),
  saes: z
    .array(saeSchema)
    .max(10_000)
    .default([])
    .describe('The SAEs of this KME, at most 10,000: the peers are told of all in one message'),
  peers: z.array(peerSchema).default([]).describe('The KMEs at the other ends of the links'),
  links: z.array(linkSchema).default([]).describe('The links, one per pair of KMEs'),
  allowSimulated: z
    .boolean()
    .default(false)
    .describe('Whether simulated devices are allowed; their keys are not secret'),
  log: z
    .strictObject({
      level: z
        .enum(['error', 'warn', 'info', 'debug'])
        .default('info')
        .describe('Least severity that is logged'),
    })
    .prefault({})
    .describe('The log: JSON lines on standard error'),
})

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

/** A checked configuration, with every default filled in. Read with `loadConfig`: deep-frozen, paths absolute. */
export type Config = DeepReadonly<z.output<typeof configSchema>>

export type ListenersConfig = Config['listeners']
export type SaeListenerConfig = ListenersConfig['sae']
export type ProbesListenerConfig = NonNullable<ListenersConfig['probes']>
export type CaConfig = SaeListenerConfig['cas'][number]
export type SqliteConfig = Extract<Config['store'], { readonly type: 'sqlite' }>
export type LinkConfig = Config['links'][number]
export type DeviceConfig = LinkConfig['devices'][number]
