import type { Destination, LocalSae, SaeDirectory, SaeLocation } from '../ports/destination.ts'
import { KmeError } from '../errors.ts'
import type { RegisteredSae } from '../model/delivery.ts'
import type { SaeId } from '../model/ids.ts'

/** The slaves of one delivery, and the one destination through which all of them are reached. */
export interface Recipients {
  readonly destination: Destination
  readonly localSlaves: readonly RegisteredSae[]
  readonly remoteSlaves: readonly RegisteredSae[]
}

type FoundSae = Exclude<SaeLocation, { readonly kind: 'unknown' | 'undecided' | 'ambiguous' }>

/** Messages name members of the request as the standard does: that is what its sender knows. */
const SLAVE = 'slave_SAE_ID'
const ADDITIONAL = 'additional_slave_SAE_IDs'

const withoutRest = ({ saeId, registrationId }: RegisteredSae): RegisteredSae => ({
  saeId,
  registrationId,
})

/** The ID itself is not repeated in a message: it may be anything, of any length. */
const locate = (directory: SaeDirectory, saeId: SaeId, what: string): FoundSae => {
  const location = directory.locate(saeId)
  switch (location.kind) {
    case 'here':
    case 'remote':
      return location
    case 'unknown':
      throw new KmeError('SLAVE_UNKNOWN', `${what} is not registered at this KME or a peer of it`)
    case 'undecided':
      throw new KmeError(
        'NOT_READY',
        `${what} is not known yet: no list of SAEs has come from a peer KME so far; try again later`,
      )
    case 'ambiguous':
      throw new KmeError(
        'NOT_READY',
        `${what} is claimed by two KMEs; the operators have to settle which one has it`,
      )
  }
}

const checkSelf = (master: LocalSae, slaveId: SaeId): void => {
  if (slaveId !== master.saeId || master.loopback) return
  throw new KmeError(
    'BAD_REQUEST',
    `${SLAVE} shall not be the calling SAE, unless it is registered with loopback`,
  )
}

const checkAdditional = (
  master: LocalSae,
  slaveId: SaeId,
  additional: readonly SaeId[] | null,
): readonly SaeId[] => {
  if (additional === null) return []
  const refuse = (why: string): never => {
    throw new KmeError('BAD_REQUEST', `${ADDITIONAL} ${why}`)
  }
  if (additional.length === 0) refuse('shall name at least one SAE, or be left out')
  const seen = new Set<SaeId>()
  for (const saeId of additional) {
    if (saeId.trim() === '') refuse('shall not name an empty or blank SAE ID')
    if (saeId === master.saeId) refuse('shall not name the calling SAE')
    if (saeId === slaveId) refuse(`shall not name ${SLAVE} again`)
    if (seen.has(saeId)) refuse('shall name no SAE twice')
    seen.add(saeId)
  }
  return additional
}

/** The destination of the remote slaves, or the local one where there are none. */
const chooseDestination = (directory: SaeDirectory, found: readonly FoundSae[]): Destination => {
  let chosen: Destination | null = null
  for (const location of found) {
    if (location.kind !== 'remote') continue
    chosen ??= location.destination
    if (location.destination.targetKmeId !== chosen.targetKmeId) {
      throw new KmeError(
        'BAD_REQUEST',
        `${SLAVE} and ${ADDITIONAL} name SAEs of two other KMEs; one delivery reaches at most one`,
      )
    }
  }
  chosen ??= directory.localDestination()
  if (chosen !== null) return chosen
  throw new KmeError(
    'BAD_REQUEST',
    `${SLAVE} is at this KME, which has no link with itself to deliver such keys from`,
  )
}

const checkCount = ({ maxAdditionalSlaves }: Destination['limits'], count: number): void => {
  if (count <= maxAdditionalSlaves) return
  throw new KmeError(
    'BAD_REQUEST',
    `${ADDITIONAL} shall name at most ${maxAdditionalSlaves} SAEs (max_SAE_ID_count)`,
  )
}

/**
 * Where the slaves of a delivery are.
 * @throws KmeError SLAVE_UNKNOWN, BAD_REQUEST (the list breaks a rule), NOT_READY (it is not known who has a slave)
 */
export const findRecipients = (
  directory: SaeDirectory,
  master: LocalSae,
  slaveId: SaeId,
  additionalSlaveIds: readonly SaeId[] | null,
): Recipients => {
  checkSelf(master, slaveId)
  const additional = checkAdditional(master, slaveId, additionalSlaveIds)
  const found = [
    locate(directory, slaveId, `${SLAVE} in the path`),
    ...additional.map((saeId, i) => locate(directory, saeId, `${ADDITIONAL}[${i}]`)),
  ]
  const destination = chooseDestination(directory, found)
  checkCount(destination.limits, additional.length)
  const slavesOf = (kind: FoundSae['kind']): RegisteredSae[] =>
    found.filter((location) => location.kind === kind).map(({ sae }) => withoutRest(sae))
  return { destination, localSlaves: slavesOf('here'), remoteSlaves: slavesOf('remote') }
}
