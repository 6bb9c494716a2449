import { describe, expect, test } from '@jest/globals'
import { Directory } from '../../src/links/sae-directory.ts'
import type { Link } from '../../src/links/link.ts'
import { RecordingObserver } from '../helpers/recording-observer.ts'

const REGISTRATION = '0'.repeat(32)
const own = { saeId: 'own', registrationId: REGISTRATION, loopback: false }

/** A link whose peer has told these SAEs; undefined: no list ever came. */
const linkTo = (peerKmeId: string, saes?: readonly string[], redeliveryWindowMs = 0) =>
  ({
    linkId: `to-${peerKmeId}`,
    peerKmeId,
    destination: { targetKmeId: peerKmeId, limits: { redeliveryWindowMs } },
    peerSae: (saeId: string) =>
      saes && (saes.includes(saeId) ? { saeId, registrationId: REGISTRATION } : null),
  }) as unknown as Link

const directoryOf = (links: readonly Link[]) => {
  const observer = new RecordingObserver()
  return { observer, directory: new Directory({ saes: [own], links, kmeId: 'kme', observer }) }
}

describe('the directory of SAEs', () => {
  test('finds an SAE of ours here, whoever else claims it, and tells of the claim', () => {
    const link = linkTo('b', ['own'])
    const { directory, observer } = directoryOf([link])
    expect(directory.locate('own')).toEqual({ kind: 'here', sae: own })
    directory.listChanged(link)
    expect(observer.names()).toEqual(['sae-claimed-twice'])
  })

  test('knows the redelivery window of each link, also of that of the KME with itself', () => {
    const { directory } = directoryOf([linkTo('b', [], 2_000), linkTo('kme', [], 3_000)])
    const windows = ['to-b', 'to-kme', 'to-c'].map((linkId) => directory.redeliveryWindowMs(linkId))
    expect(windows).toEqual([2_000, 3_000, 0])
  })

  test('finds an SAE at the one peer that has it registered', () => {
    const { directory } = directoryOf([linkTo('b', []), linkTo('c', ['x'])])
    expect(directory.locate('x')).toMatchObject({
      kind: 'remote',
      destination: { targetKmeId: 'c' },
    })
  })

  test('decides nothing about an SAE that two peers claim, and alarms', () => {
    const { directory, observer } = directoryOf([linkTo('b', ['x']), linkTo('c', ['x'])])
    expect(directory.locate('x')).toEqual({ kind: 'ambiguous' })
    expect(observer.names()).toEqual(['sae-claimed-twice'])
  })

  test('clears the alarm when one of the two no longer claims the SAE', () => {
    const claimed = ['own', 'x']
    const link = linkTo('b', claimed)
    const { directory, observer } = directoryOf([link, linkTo('c', ['x'])])
    directory.listChanged(link)
    directory.locate('x')
    expect(observer.cleared).toEqual([])
    claimed.splice(0)
    directory.listChanged(link)
    expect(observer.cleared.map(({ id }) => id)).toEqual(['own', 'x'])
    expect(directory.locate('x').kind).toBe('remote')
  })

  test('does not call an SAE unknown while a peer has never told its list', () => {
    expect(directoryOf([linkTo('b'), linkTo('c', [])]).directory.locate('x').kind).toBe('undecided')
    expect(directoryOf([linkTo('b', [])]).directory.locate('x').kind).toBe('unknown')
    expect(directoryOf([]).directory.locate('x').kind).toBe('unknown')
  })

  test('compares IDs exactly', () => {
    const { directory } = directoryOf([linkTo('b', ['x'])])
    for (const id of ['X', 'x ', 'own ', 'Own']) {
      expect(directory.locate(id).kind).toBe('unknown')
    }
  })

  test('has a destination for local deliveries only with a link of the KME with itself', () => {
    expect(directoryOf([linkTo('b', [])]).directory.localDestination()).toBeNull()
    const { directory } = directoryOf([linkTo('b', []), linkTo('kme')])
    expect(directory.localDestination()).toMatchObject({ targetKmeId: 'kme' })
    expect(directory.locate('x').kind).toBe('unknown')
  })
})
