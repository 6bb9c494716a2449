import { SIMULATED_DRIVERS } from '../drivers/options.ts'
import type { OptionPath } from './problem.ts'
import type { ProblemList } from './problem-list.ts'
import type { Config, DeviceConfig, LinkConfig } from './schema.ts'

const checkPeers = (config: Config, problems: ProblemList): void => {
  const names = [...config.peers.map((peer) => peer.id), config.kme.id]
  const peers = config.links.map((link) => link.peer)
  config.links.forEach((link, index) => {
    const path = ['links', index, 'peer']
    problems.known(path, link.peer, names, 'neither the id of a peer nor the own kme.id')
    const first = peers.indexOf(link.peer)
    if (first !== index) {
      problems.add(
        path,
        `links[${String(first)}] is already the link with this KME: one link per pair, with all its devices`,
      )
    }
  })
}

const checkSizes = (link: LinkConfig, at: OptionPath, problems: ProblemList): void => {
  if (link.minKeySizeBits > link.maxKeySizeBits) {
    problems.add(
      [...at, 'minKeySizeBits'],
      `${String(link.minKeySizeBits)} is above maxKeySizeBits, ${String(link.maxKeySizeBits)}`,
    )
  } else if (link.keySizeBits < link.minKeySizeBits || link.keySizeBits > link.maxKeySizeBits) {
    problems.add(
      [...at, 'keySizeBits'],
      `${String(link.keySizeBits)} is not between minKeySizeBits, ${String(link.minKeySizeBits)}, and maxKeySizeBits, ${String(link.maxKeySizeBits)}`,
    )
  }
  if (link.lowWaterPercent >= link.highWaterPercent) {
    problems.add(
      [...at, 'lowWaterPercent'],
      `${String(link.lowWaterPercent)} is not below highWaterPercent, ${String(link.highWaterPercent)}`,
    )
  }
}

/** `{"key_ID":"<36 characters>"},` and room for blanks or a member that a client adds. */
const BYTES_PER_KEY_ID = 64
const BYTES_AROUND = 1024

/** An SAE asks for all keys of a delivery in one body: it must fit. */
const checkBody = (
  config: Config,
  link: LinkConfig,
  at: OptionPath,
  problems: ProblemList,
): void => {
  const neededBytes = link.maxKeysPerRequest * BYTES_PER_KEY_ID + BYTES_AROUND
  if (neededBytes > config.listeners.sae.maxBodyBytes) {
    problems.add(
      [...at, 'maxKeysPerRequest'],
      `a request for ${String(link.maxKeysPerRequest)} key IDs does not fit in listeners.sae.maxBodyBytes: set that to ${String(neededBytes)} or more`,
    )
  }
}

const isSimulated = (device: DeviceConfig): boolean => SIMULATED_DRIVERS.includes(device.driver)

const rolesOf = (devices: readonly DeviceConfig[], id: string): string =>
  devices
    .filter((device) => device.id === id)
    .map((device) => device.role)
    .sort()
    .join('+')

/** Both ends of a device of a link with itself are here: one entry for both, or one for each. */
const checkOwnDevice = (
  link: LinkConfig,
  device: DeviceConfig,
  at: OptionPath,
  problems: ProblemList,
): void => {
  const roles = rolesOf(link.devices, device.id)
  if (roles === 'both' || roles === 'follower+leader') return
  problems.add(
    [...at, 'role'],
    `on a link of this KME with itself a device has either the role both, or two entries with the same id, a leader and a follower; "${device.id}" has ${roles}`,
  )
}

const checkDevices = (
  config: Config,
  link: LinkConfig,
  at: OptionPath,
  problems: ProblemList,
): void => {
  const own = link.peer === config.kme.id
  if (!own)
    problems.unique(
      [...at, 'devices'],
      'id',
      link.devices.map((device) => device.id),
    )
  link.devices.forEach((device, index) => {
    const path = [...at, 'devices', index]
    if (own) checkOwnDevice(link, device, path, problems)
    else if (device.role === 'both') {
      problems.add(
        [...path, 'role'],
        'both is for a link of this KME with itself: here one KME is the leader, the other the follower',
      )
    }
    checkChannel(device, path, problems)
    if (isSimulated(device) && !config.allowSimulated) {
      problems.add(
        [...path, 'driver'],
        'keys of a simulated device are not secret: set allowSimulated: true where that is meant, never in production',
      )
    }
  })
}

/** The two ends of a simulated device need a way to each other, unless they are one. */
const checkChannel = (device: DeviceConfig, at: OptionPath, problems: ProblemList): void => {
  if (device.driver !== 'simulator' || device.role === 'both') return
  const { listen, connect, seed } = device.options
  if (listen === undefined && connect === undefined && seed === undefined) {
    problems.add(
      [...at, 'options'],
      'a simulated device with two ends needs `listen` at one, `connect` at the other, and a `secretFile`',
    )
  }
}

/** Two devices on one folder would take the same key bytes twice: no key would be used only once. */
const checkFolders = (config: Config, problems: ProblemList): void => {
  const taken = new Map<string, string>()
  config.links.forEach((link, linkIndex) => {
    link.devices.forEach((device, index) => {
      if (device.driver !== 'key-files') return
      const { directory } = device.options
      const name = `links[${String(linkIndex)}].devices[${String(index)}]`
      const other = taken.get(directory)
      if (other === undefined) taken.set(directory, name)
      else {
        problems.add(
          ['links', linkIndex, 'devices', index, 'options', 'directory'],
          `is also the folder of ${other}: each device needs its own`,
        )
      }
    })
  })
}

/** Links and their devices against each other and against the rest of the configuration. */
export const checkLinks = (config: Config, problems: ProblemList): void => {
  problems.unique(
    ['links'],
    'id',
    config.links.map((link) => link.id),
  )
  checkPeers(config, problems)
  checkFolders(config, problems)
  config.links.forEach((link, index) => {
    const at = ['links', index]
    checkSizes(link, at, problems)
    checkBody(config, link, at, problems)
    checkDevices(config, link, at, problems)
  })
}

/** Names of the simulated devices, as `link/device`. */
export const simulatedDevices = (config: Config): readonly string[] =>
  config.links.flatMap((link) =>
    link.devices.filter(isSimulated).map((device) => `${link.id}/${device.id}`),
  )
