import { describe, expect, test } from '@jest/globals'
import { applied, confirmOf, LINK, withEnds, type OpenStore } from './store-ends.ts'

export const describeSaes = (open: OpenStore): void => {
  describe('SAEs', () => {
    test('an SAE keeps its registration while it is configured, and gets another when it comes back', async () => {
      const { store, dispose } = await open()
      const first = await store.registerSaes(['a', 'b'])
      expect(first).toMatchObject({ version: 1, saes: [{ saeId: 'a' }, { saeId: 'b' }] })
      expect(await store.registerSaes(['b', 'a'])).toEqual(first)
      const without = await store.registerSaes(['b', '🔑"\';--'])
      expect(without).toMatchObject({ version: 2, saes: [first.saes[1], { saeId: '🔑"\';--' }] })
      const back = await store.registerSaes(['a', 'b'])
      expect(back.version).toBe(3)
      expect(back.saes[1]).toEqual(first.saes[1])
      expect(back.saes[0]?.registrationId).toMatch(/^[0-9a-f]{32}$/)
      expect(back.saes[0]?.registrationId).not.toBe(first.saes[0]?.registrationId)
      await dispose()
    })

    test('a list of the peer counts only with a higher version', async () => {
      await withEnds(open, async (ends) => {
        const { verifier, follower } = ends
        const known = await follower.store.readPeerSaes(LINK)
        expect(known).toEqual({ version: 1, saes: verifier.saes })
        const tell = (version: number, saes = verifier.saes.slice(1)) =>
          follower.store.applySaeList(LINK, ends.stamp(verifier), { version, saes })
        expect(applied(await tell(1))).toBe('done')
        expect(await follower.store.readPeerSaes(LINK)).toEqual(known)
        expect(applied(await tell(5))).toBe('done')
        expect(await follower.store.readPeerSaes(LINK)).toEqual({
          version: 5,
          saes: verifier.saes.slice(1),
        })
        await expect(tell(6, [...verifier.saes, ...verifier.saes])).rejects.toMatchObject({
          code: 'PROTOCOL',
        })
        expect(await ends.confirm(verifier, [confirmOf(verifier.delivery(0), [])])).toMatchObject([
          { outcome: 'refused' },
        ])
      })
    })

    test('there is no list before one came', async () => {
      const { store, dispose } = await open()
      await store.openLink({ linkId: LINK, kmeId: 'a', peerKmeId: 'b' })
      expect(await store.readPeerSaes(LINK)).toBeNull()
      await dispose()
    })
  })
}
