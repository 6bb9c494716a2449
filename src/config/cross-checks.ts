import { checkLinks } from './link-checks.ts'
import type { OptionPath, Problem } from './problem.ts'
import { ProblemList } from './problem-list.ts'
import type { Config } from './schema.ts'

const checkCas = (config: Config, problems: ProblemList): void => {
  for (const name of ['sae', 'peer', 'admin'] as const) {
    const cas = config.listeners[name]?.cas ?? []
    problems.unique(
      ['listeners', name, 'cas'],
      'name',
      cas.map((ca) => ca.name),
    )
  }
}

/** The CA that an entry names must be one of the listener's. */
const checkCa = (
  config: Config,
  problems: ProblemList,
  listener: 'sae' | 'peer',
  at: { readonly path: OptionPath; readonly ca: string },
): void => {
  const names = (config.listeners[listener]?.cas ?? []).map((ca) => ca.name)
  problems.known(
    [...at.path, 'ca'],
    at.ca,
    names,
    `no CA of listeners.${listener}.cas has this name`,
  )
}

const checkParties = (config: Config, problems: ProblemList): void => {
  problems.unique(
    ['saes'],
    'id',
    config.saes.map((sae) => sae.id),
  )
  problems.unique(
    ['peers'],
    'id',
    config.peers.map((peer) => peer.id),
  )
  config.saes.forEach((sae, index) => {
    checkCa(config, problems, 'sae', { path: ['saes', index], ca: sae.ca })
  })
  config.identity.rules.forEach((rule, index) => {
    checkCa(config, problems, 'sae', { path: ['identity', 'rules', index], ca: rule.ca })
  })
  config.peers.forEach((peer, index) => {
    if (peer.id === config.kme.id) {
      problems.add(
        ['peers', index, 'id'],
        'this is the own kme.id; a link with itself needs no entry in peers',
      )
    }
    if (config.listeners.peer !== undefined) {
      checkCa(config, problems, 'peer', { path: ['peers', index], ca: peer.ca })
    }
  })
  if (config.peers.length > 0 && config.listeners.peer === undefined) {
    problems.add(
      ['listeners', 'peer'],
      'is missing: with an entry in peers this KME needs a peer listener',
    )
  }
}

/** An SAE whose CA has no rule could never be identified. */
const checkRules = (config: Config, problems: ProblemList): void => {
  const ruled = new Set(config.identity.rules.map((rule) => rule.ca))
  const known = new Set(config.listeners.sae.cas.map((ca) => ca.name))
  config.saes.forEach((sae, index) => {
    if (known.has(sae.ca) && !ruled.has(sae.ca)) {
      problems.add(
        ['saes', index, 'ca'],
        `no rule of identity.rules is for the CA "${sae.ca}", so this SAE could not be identified`,
      )
    }
  })
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/

const checkProbes = (config: Config, problems: ProblemList): void => {
  const probes = config.listeners.probes
  if (probes === undefined) return
  const path = ['listeners', 'probes']
  if ((probes.port === undefined) === (probes.socket === undefined)) {
    problems.add(path, 'needs either a port or a socket')
  }
  if (!LOOPBACK.test(probes.host)) {
    problems.add(
      [...path, 'host'],
      'probes are answered without TLS, so only on a loopback address or a socket',
    )
  }
}

const checkPorts = (config: Config, problems: ProblemList): void => {
  const taken = new Map<number, string>()
  for (const name of ['sae', 'peer', 'admin', 'probes'] as const) {
    const port = config.listeners[name]?.port ?? 0
    const other = taken.get(port)
    if (port === 0) continue
    if (other !== undefined) {
      problems.add(
        ['listeners', name, 'port'],
        `${String(port)} is also the port of listeners.${other}`,
      )
    }
    taken.set(port, name)
  }
}

/** What one option alone cannot show: names that must exist or be unique, sizes in order, roles that fit. */
export const crossCheck = (config: Config): readonly Problem[] => {
  const problems = new ProblemList()
  checkCas(config, problems)
  checkParties(config, problems)
  checkRules(config, problems)
  checkProbes(config, problems)
  checkPorts(config, problems)
  checkLinks(config, problems)
  return problems.all
}
