import type { KmeLab } from '../../helpers/kme-lab.ts'
import type { SiteSpec } from '../../helpers/kme-site.ts'
import type { SiteName } from '../record.ts'
import type { Stage } from '../scenario.ts'
import { PeerProxy } from './peer-proxy.ts'
import { Trial, type TrialOptions } from './trial.ts'

/** By the KME that calls. */
export type Wire = Readonly<Record<SiteName, PeerProxy>>

const SITE_OF: Readonly<Record<string, SiteName>> = { 'kme-a': 'a', 'kme-b': 'b' }

const openWire = async (lab: KmeLab, opened: AsyncDisposableStack): Promise<Wire> => {
  const a = await lab.certificate('kme', 'kme-a')
  const b = await lab.certificate('kme', 'kme-b')
  const wire = { a: await PeerProxy.open(b, a), b: await PeerProxy.open(a, b) }
  opened.use(wire.a)
  opened.use(wire.b)
  return wire
}

/** Lets a KME call the proxy instead of its peer. */
const through =
  (wireOf: () => Wire) =>
  (spec: SiteSpec): SiteSpec => {
    const proxy = wireOf()[SITE_OF[spec.kmeId] ?? 'a']
    const peers = (spec.peers ?? []) as readonly { readonly port: number }[]
    proxy.targetPort = peers[0]?.port ?? 0
    return { ...spec, peers: peers.map((peer) => ({ ...peer, port: proxy.port })) }
  }

/** A trial whose KMEs reach each other through a wire that `work` can disturb. */
export const withWire = async (
  stage: Stage,
  work: (trial: Trial, wire: Wire) => Promise<void>,
  options: Pick<TrialOptions, 'terms'> = {},
): Promise<void> => {
  await using opened = new AsyncDisposableStack()
  let wire: Wire | undefined
  const wireOf = (): Wire => {
    if (!wire) throw new TypeError('no wire yet')
    return wire
  }
  await using trial = await Trial.start({
    ...options,
    seed: stage.dice.roll(2 ** 31),
    pair: { adapt: through(wireOf) },
    prepare: async (lab) => {
      wire = await openWire(lab, opened)
      return null
    },
  })
  trial.load.start()
  await work(trial, wireOf())
  await trial.load.more(50)
  stage.tally.add(await trial.finish())
}
