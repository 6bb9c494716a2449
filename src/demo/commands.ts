import { relative } from 'node:path'
import { type CertificatePaths, type DemoLayout, type DemoSite, HOST } from './layout.ts'

/** A word of a POSIX shell, quoted where it has to be. */
export const shellWord = (text: string): string =>
  /^[\w./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`

const keysUrl = (site: DemoSite, otherSae: string, call: string): string =>
  `https://${HOST}:${String(site.saePort)}/api/v1/keys/${otherSae}/${call}`

/** One step that a person can copy: what it does, and the lines for the shell. */
export interface Step {
  readonly what: string
  readonly lines: readonly string[]
}

/** With curl and a POSIX shell alone: how a key is drawn at one end and fetched at the other. */
export const tryingSteps = (layout: DemoLayout): readonly Step[] => {
  const { dir, a, b } = layout
  /** In two lines, so that they fit a terminal. */
  const curl = ({ certFile, keyFile }: CertificatePaths, url: string): readonly string[] => {
    const [ca, cert, key] = [layout.caFile, certFile, keyFile].map((path) =>
      shellWord(relative(dir, path)),
    )
    return [
      `curl -sS --cacert ${String(ca)} --cert ${String(cert)} --key ${String(key)} \\`,
      `  ${url}`,
    ]
  }
  const [draw = '', drawUrl = ''] = curl(a.sae, keysUrl(a, b.saeId, 'enc_keys'))
  return [
    { what: 'in a second terminal', lines: [`cd ${shellWord(dir)}`] },
    {
      what: `how many keys ${a.saeId} could share with ${b.saeId} now`,
      lines: curl(a.sae, `${keysUrl(a, b.saeId, 'status')}; echo`),
    },
    {
      what: `${a.saeId} draws a key from ${a.kmeId}`,
      lines: [
        `drawn=$(${draw}`,
        `${drawUrl}); printf '%s\\n' "$drawn"`,
        String.raw`id=$(printf '%s' "$drawn" | sed 's/.*"key_ID" *: *"\([^"]*\)".*/\1/')`,
      ],
    },
    {
      what: `${b.saeId} fetches the same key from ${b.kmeId} by its ID, once`,
      lines: curl(b.sae, `"${keysUrl(b, a.saeId, 'dec_keys')}?key_ID=$id"; echo`),
    },
  ]
}

const asComment = ({ what, lines }: Step): readonly string[] => [`# ${what}`, ...lines]

/** The same steps as a script, for the demo's folder. */
export const scriptText = (layout: DemoLayout): string => {
  const [, ...steps] = tryingSteps(layout)
  return [
    '#!/bin/sh',
    '# Written by "keyspring demo": draws a key at one KME and fetches it at the other. Run it while the demo runs.',
    'set -e',
    'cd "$(dirname "$0")"',
    ...steps.flatMap(asComment),
    '',
  ].join('\n')
}
