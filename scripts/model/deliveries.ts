import { configuration, mutant, witness, type Model } from './table.ts'

/** Slots (places for a key) and key IDs of each of the two lanes. */
const THREE_KEYS = ['SLOTS0=2', 'SLOTS1=1', 'IDS0=2', 'IDS1=1']
const ONE_LANE = ['SLOTS0=2', 'SLOTS1=0', 'IDS0=2', 'IDS1=0']
const TWO_SLOTS = ['SLOTS0=1', 'SLOTS1=1', 'IDS0=2', 'IDS1=1']
const TWO_KEYS = ['SLOTS0=1', 'SLOTS1=1', 'IDS0=1', 'IDS1=1']

/** The long ones first: the short ones fill up the other core. */
const configurations = [
  configuration('peer', 'confirm: peer, three keys', ...THREE_KEYS),
  configuration('local', 'confirm: local, two keys of one lane', ...ONE_LANE, 'LOCAL'),
  configuration(
    'local-slow',
    'confirm: local, hello in two steps, lost sessions',
    ...[...TWO_SLOTS, 'LOCAL'],
    ...['SLOW_HELLO', 'LOSSES'],
  ),
  configuration(
    'peer-slow',
    'confirm: peer, hello in two steps, lost sessions',
    ...TWO_SLOTS,
    ...['SLOW_HELLO', 'LOSSES'],
  ),
  configuration(
    'local-losses',
    'confirm: local, lost sessions',
    ...TWO_SLOTS,
    ...['LOCAL', 'LOSSES'],
  ),
  configuration(
    'local-read',
    'confirm: local, each session reads the mark from the store',
    ...TWO_SLOTS,
    ...['LOCAL', 'LOSSES', 'MARK_FROM_STORE'],
  ),
  configuration(
    'peer-read',
    'confirm: peer, hello in two steps, the mark from the store',
    ...TWO_SLOTS,
    ...['SLOW_HELLO', 'LOSSES', 'MARK_FROM_STORE'],
  ),
  configuration(
    'local-crashes',
    'confirm: local, two crashes of each KME',
    ...TWO_KEYS,
    ...['LOCAL', 'CRASHES=2'],
  ),
  configuration('peer-crashes', 'confirm: peer, two crashes of each KME', ...TWO_KEYS, 'CRASHES=2'),
  configuration(
    'local-all',
    'confirm: local, no message forgotten',
    ...TWO_SLOTS,
    ...['LOCAL', 'KEEP_ALL'],
  ),
  configuration('peer-all', 'confirm: peer, no message forgotten', ...TWO_SLOTS, 'KEEP_ALL'),
  configuration('local-small', 'confirm: local, two slots', ...TWO_SLOTS, 'LOCAL'),
  configuration('peer-small', 'confirm: peer, two slots', ...TWO_SLOTS),
  configuration('local-grant', 'confirm: local, grants', ...TWO_KEYS, 'LOCAL', 'GRANT'),
  configuration('peer-grant', 'confirm: peer, grants', ...TWO_KEYS, 'GRANT'),
]

const mutants = [
  mutant('NO_LIFE_CHECK', 'P1', 'local-all', 'present', 'a message of an earlier life is applied'),
  mutant('LIFE_NOT_RAISED', 'P1', 'local-small', 'life', 'a start does not raise the life'),
  mutant(
    ...(['QUESTION_TEACHES_NOTHING', 'P1', 'local-small', 'question-teaches'] as const),
    'the question of a peer that started anew does not end the session',
  ),
  mutant(
    ...(['HELLO_WITHOUT_NONCE', 'P1', 'local-slow', 'nonce'] as const),
    'an answer to a question of an earlier life counts',
  ),
  mutant('NO_ADOPT', 'P1', 'local-small', 'adopt', 'use that only the peer knows is not adopted'),
  mutant('REUSE_ON_TIMEOUT', 'P1', 'local-small', 'spent', 'a call without an answer gives back'),
  mutant('MARK_GOES_BACK', 'P1', 'local-losses', 'mark', 'a hello sets the mark back'),
  {
    ...mutant(
      'RANGE_NOT_NAMED',
      'P2',
      'local',
      'names-range',
      'the other end takes its next range',
    ),
    also: ['KEEP_ALL', 'P3_IS_NOT_CHECKED'],
  },
  {
    ...mutant('ID_TWICE', 'P2', 'local', 'ids', 'a lost key ID is made again (P3 not looked at)'),
    also: ['KEEP_ALL', 'P3_IS_NOT_CHECKED'],
  },
  {
    ...mutant(
      ...(['ID_TWICE+KNOWN_BY_ID_ALONE', 'P2', 'peer', 'repeat'] as const),
      'besides, a confirm of another range under a known ID is taken for a repeated one',
    ),
    also: ['KEEP_ALL', 'P3_IS_NOT_CHECKED'],
  },
  mutant('DONE_BEFORE_COMMIT', 'P1', 'peer-small', 'done-is-durable', 'done before the commit'),
  mutant('NO_CONSUMED_CHECK', 'P3', 'peer-all', 'free-there', 'a confirm is applied unchecked'),
  mutant('NO_ENTITLEMENT', 'P3', 'peer-small', 'entitled', 'any SAE may fetch any key'),
  mutant('FETCH_NOT_DURABLE', 'P3', 'peer-small', 'fetch-is-durable', 'bytes before the commit'),
  mutant('ANSWER_BEFORE_CONFIRM', 'P4', 'peer-small', 'both-first', 'the master before the peer'),
  mutant('DROP_ERASES_HELD', 'P4', 'peer', 'drop', 'a drop erases what a delivery holds'),
  mutant('NO_OWNERSHIP', 'P4', 'local-small', 'own-lane', 'either KME allocates from both lanes'),
  {
    ...mutant(
      ...(['ANSWER_BEFORE_COMMIT', 'P4', 'local-small', 'both-first'] as const),
      'the master is answered before the commit (P5 not looked at)',
    ),
    also: ['P5_IS_NOT_CHECKED'],
  },
  mutant('ANSWER_BEFORE_COMMIT', 'P5', 'local-small', 'both-first', 'the master before the commit'),
  mutant('GRANT_REVOKED', 'P4', 'local-grant', 'grant-stays', 'a grant is taken back'),
  mutant('GRANT_USED_BY_OWNER', 'P4', 'local-grant', 'grant-given', 'the owner uses what it gave'),
  mutant(
    ...(['GRANT_SENT_BEFORE_DURABLE', 'P4', 'local-grant', 'grant-durable'] as const),
    'a grant is sent before it is durable',
  ),
  mutant(
    ...(['GRANT_LOOKS_AT_STORE_ALONE', 'P4', 'local-grant', 'grant-free'] as const),
    'a grant of what is allocated but not committed',
  ),
]

const witnesses = [
  witness('FETCHED_AFTER_ANSWER', 'peer-small', 'a master answered, its slave fetched'),
  witness('FETCHED_AFTER_CRASH', 'peer-small', 'a crash between the two'),
  witness('ADOPTED', 'peer-small', 'use that a crash lost is adopted'),
  witness('DROPPED', 'peer-small', 'the other end drops what no delivery holds'),
  witness('GRANT_USED', 'peer-grant', 'a master answered from a grant'),
  witness('STALE', 'peer-small', 'a message of an earlier life is refused'),
]

/** Deliveries between two KMEs: docs/model/deliveries.pml. */
export const deliveries: Model = { file: 'deliveries.pml', configurations, mutants, witnesses }
