import { describe, expect, test } from '@jest/globals'
import { keyFilesDevice, parseDraft, problemsOf } from './sample.ts'

const simulator = (role: string, options: object = { seed: 'test' }) => ({
  id: 'sim',
  role,
  driver: 'simulator',
  options,
})

describe('options that do not fit together are refused', () => {
  test.each([
    [{ 'saes[1]': { id: 'sae-1', ca: 'saes' } }, 'saes[1].id: "sae-1" is taken by entry [0]'],
    [
      { 'peers[1]': { id: 'kme-b', host: 'b', ca: 'kmes' } },
      'peers[1].id: "kme-b" is taken by entry [0]',
    ],
    [
      { 'listeners.sae.cas[1]': { name: 'saes', files: ['more.pem'] } },
      'listeners.sae.cas[1].name: "saes" is taken by entry [0]',
    ],
    [
      { 'saes[0].ca': 'sae' },
      'saes[0].ca: no CA of listeners.sae.cas has this name: "sae"; did you mean saes?',
    ],
    [{ 'peers[0].ca': 'saes' }, 'peers[0].ca: no CA of listeners.peer.cas has this name'],
    [
      { 'identity.rules[1]': { ca: 'kmes', from: 'cn' } },
      'identity.rules[1].ca: no CA of listeners.sae.cas has this name',
    ],
    [
      { 'links[0].peer': 'kme-c' },
      'links[0].peer: neither the id of a peer nor the own kme.id: "kme-c"; did you mean kme-b?',
    ],
    [{ 'peers[1]': { id: 'kme-a', host: 'b', ca: 'kmes' } }, 'peers[1].id: this is the own kme.id'],
    [{ 'listeners.peer': undefined }, 'listeners.peer: is missing'],
    [
      { 'links[1]': { id: 'other', peer: 'kme-b' } },
      'links[1].peer: links[0] is already the link with this KME',
    ],
    [{ 'links[1]': { id: 'a-b', peer: 'kme-a' } }, 'links[1].id: "a-b" is taken by entry [0]'],
    [
      { 'links[0].devices[1]': keyFilesDevice('d1', 'leader', 'other') },
      'links[0].devices[1].id: "d1" is taken',
    ],
    [
      { 'links[0].devices[1]': keyFilesDevice('d2', 'leader', './x/../in-d1-leader') },
      'links[0].devices[1].options.directory: is also the folder of links[0].devices[0]',
    ],
    [
      { 'links[0].devices[0].role': 'both' },
      'links[0].devices[0].role: both is for a link of this KME with itself',
    ],
    [
      { 'links[0].minKeySizeBits': 512 },
      'links[0].keySizeBits: 256 is not between minKeySizeBits, 512',
    ],
    [{ 'links[0].maxKeySizeBits': 128 }, 'links[0].keySizeBits: 256 is not between'],
    [
      { 'links[0].minKeySizeBits': 512, 'links[0].maxKeySizeBits': 128 },
      'links[0].minKeySizeBits: 512 is above maxKeySizeBits, 128',
    ],
    [
      { 'links[0].lowWaterPercent': 80 },
      'links[0].lowWaterPercent: 80 is not below highWaterPercent, 80',
    ],
    [
      { 'links[0].maxKeysPerRequest': 4096 },
      'links[0].maxKeysPerRequest: a request for 4096 key IDs does not fit in listeners.sae.maxBodyBytes: set that to 263168 or more',
    ],
    [
      { 'listeners.admin.port': 8443 },
      'listeners.admin.port: 8443 is also the port of listeners.sae',
    ],
    [{ 'listeners.probes': {} }, 'listeners.probes: needs either a port or a socket'],
    [
      { 'listeners.probes': { port: 1, socket: 'x' } },
      'listeners.probes: needs either a port or a socket',
    ],
    [
      { 'listeners.probes': { port: 1, host: '0.0.0.0' } },
      'listeners.probes.host: probes are answered without TLS',
    ],
    [
      { 'listeners.sae.cas[1]': { name: 'more', files: ['more.pem'] }, 'saes[0].ca': 'more' },
      'saes[0].ca: no rule of identity.rules is for the CA "more"',
    ],
    [
      { 'links[0].devices': [simulator('leader')] },
      'links[0].devices[0].driver: keys of a simulated device are not secret: set allowSimulated: true',
    ],
    [
      { allowSimulated: true, 'links[0].devices': [simulator('leader', {})] },
      'links[0].devices[0].options: a simulated device with two ends needs',
    ],
  ])('case %#', (change, expected) => {
    const lines = problemsOf(change)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(expected)
  })
})

describe('a link of a KME with itself', () => {
  const own = (devices: readonly object[]) => ({
    allowSimulated: true,
    links: [{ id: 'own', peer: 'kme-a', devices }],
  })

  test('takes a device with both roles, or its two ends as two entries', () => {
    expect(parseDraft(own([simulator('both', {})])).links[0]?.peer).toBe('kme-a')
    const pair = [keyFilesDevice('d', 'leader'), keyFilesDevice('d', 'follower')]
    expect(parseDraft(own(pair)).links[0]?.devices).toHaveLength(2)
  })

  test('needs neither a peer nor a peer listener', () => {
    const config = parseDraft({
      ...own([simulator('both', {})]),
      peers: [],
      'listeners.peer': undefined,
    })
    expect(config.listeners.peer).toBeUndefined()
  })

  test.each([
    [[keyFilesDevice('d', 'leader')], 1],
    [[keyFilesDevice('d', 'leader', 'a'), keyFilesDevice('d', 'leader', 'b')], 2],
    [[keyFilesDevice('d', 'both', 'a'), keyFilesDevice('d', 'follower', 'b')], 2],
  ])('is refused with ends that do not make one device (case %#)', (devices, count) => {
    const lines = problemsOf(own(devices))
    expect(lines).toHaveLength(count)
    expect(lines[0]).toContain('has either the role both, or two entries with the same id')
  })
})

test('several ports 0 may stand side by side, each is chosen by the system', () => {
  const config = parseDraft({
    'listeners.sae.port': 0,
    'listeners.peer.port': 0,
    'listeners.admin.port': 0,
  })
  expect(config.listeners.admin.port).toBe(0)
})

test('a simulated device is accepted where it is allowed explicitly', () => {
  const config = parseDraft({
    allowSimulated: true,
    'links[0].devices': [simulator('follower')],
  })
  expect(config.links[0]?.devices[0]?.driver).toBe('simulator')
})
