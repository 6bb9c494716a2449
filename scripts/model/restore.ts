import { configuration, mutant, witness, type Model } from './table.ts'

/** Whose store is put back, each once at most. One time of all the mark may not show it. */
const VERIFIER = ['BACKS0=1', 'UNSEEN=1']
const FOLLOWER = ['BACKS1=1', 'UNSEEN=1']
const BOTH = ['BACKS0=1', 'BACKS1=1', 'UNSEEN=1']
const BATCHES = ['BLOCKS=3', 'BATCHES=2', 'IDS0=1', 'WORKS']

/** The long ones first: the short ones fill up the other core. */
const configurations = [
  configuration(
    ...(['back-crashes', 'the verifier, either end crashes'] as const),
    ...[...VERIFIER, 'CRASHES0=1', 'CRASHES1=1', 'IDS0=1', 'WORKS'],
  ),
  configuration(
    ...(['back-counting', 'the follower, whose SAEs fetch of two batches'] as const),
    ...[...FOLLOWER, 'CRASHES1=1', 'FETCHES', 'BATCHES=2'],
  ),
  configuration('back-both', 'both ends', ...BOTH),
  configuration('back-both-local', 'both ends, confirm: local', ...BOTH, 'LOCAL'),
  configuration('back-both-taker', 'both ends, the follower delivers', ...BOTH, 'IDS0=0', 'IDS1=2'),
  configuration(
    'back-lives',
    'the follower, which crashes twice',
    ...FOLLOWER,
    'CRASHES1=2',
    'WORKS',
  ),
  configuration(
    ...(['back-new', 'both ends to new stores, by command, after crashes'] as const),
    ...[
      'BACKS0=1',
      'BACKS1=1',
      'CRASHES0=2',
      'CRASHES1=2',
      'IDS0=1',
      'EARLY_COPIES',
      'COMMANDS_ALONE',
    ],
  ),
  configuration(
    ...(['back-again', 'the verifier twice, the follower once, to new stores'] as const),
    ...['BACKS0=2', 'BACKS1=1', 'UNSEEN=1', 'IDS0=1', 'EARLY_COPIES'],
  ),
  configuration('back-late', 'the follower, late messages', 'BACKS1=1', 'CRASHES1=2'),
  configuration('back-batches-verifier', 'the verifier, two batches', ...VERIFIER, ...BATCHES),
  configuration('back-batches-follower', 'the follower, two batches', ...FOLLOWER, ...BATCHES),
  configuration(
    'back-fetched',
    'the follower, whose SAEs fetch',
    'BACKS1=1',
    'CRASHES1=1',
    'FETCHES',
  ),
  configuration(
    ...(['back-heard', 'the follower, unseen, whose SAEs fetch'] as const),
    ...[...FOLLOWER, 'CRASHES1=1', 'FETCHES', 'IDS0=1'],
  ),
  configuration('back-slow-verifier', 'the verifier, hello in steps', ...VERIFIER, 'SLOW_HELLO'),
  configuration('back-slow-follower', 'the follower, hello in steps', ...FOLLOWER, 'SLOW_HELLO'),
  configuration(
    ...(['back-none', 'no store, hello in steps, either end crashes'] as const),
    ...['SLOW_HELLO', 'CRASHES0=1', 'CRASHES1=1', 'IDS0=1'],
  ),
  configuration('back-verifier', 'the verifier', ...VERIFIER, 'WORKS'),
  configuration('back-follower', 'the follower', ...FOLLOWER, 'WORKS'),
]

const mutants = [
  mutant('NO_MARK', 'P6', 'back-both', 'mark-file', 'no mark beside the store'),
  mutant(
    'COMMAND_KEEPS_GENERATION',
    'P6',
    'back-both',
    'backup',
    'the command leaves a store as it was',
  ),
  mutant('DEVICES_GO_ON', 'P6', 'back-both', 'afresh', 'devices deliver what they still hold'),
  mutant('BLOCKS_STAY', 'P6', 'back-both', 'epoch-drops', 'blocks of before stay'),
  mutant(
    'NO_ADOPT',
    'P6',
    'back-both-local',
    'adopt',
    'use that only the peer knows is not adopted',
  ),
  mutant(
    'EPOCH_NOT_CHECKED',
    'P2',
    'back-late',
    'present',
    'a message of an earlier epoch is applied',
  ),
  mutant('EPOCH_WITHOUT_ID', 'P2', 'back-new', 'epoch-id', 'an epoch is its counter alone'),
  mutant('HELD_STAYS', 'P3', 'back-fetched', 'renewed', 'what is held for SAEs stays'),
  mutant(
    'MARK_COUNTS_AS_HELLO',
    'P3',
    'back-fetched',
    'mark-file',
    'the mark rests before a hello',
  ),
  mutant('COUNTERS_NOT_COMPARED', 'P3', 'back-heard', 'behind', 'counters are not compared'),
  mutant('SELF_NOT_COMPARED', 'P3', 'back-heard', 'behind', 'no end compares itself'),
  mutant(
    ...(['COUNTS_BEFORE_HELLO', 'P3', 'back-counting', 'counting'] as const),
    'the counter rises before a hello',
  ),
  mutant('GENERATION_STAYS', 'works', 'back-verifier', 'renewed', 'no new generation'),
  mutant(
    'GENERATIONS_NOT_COMPARED',
    'works',
    'back-verifier',
    'behind',
    'generations are not compared',
  ),
  mutant('LIVES_NOT_COMPARED', 'works', 'back-lives', 'behind', 'lives are not compared'),
  mutant('BATCHES_NOT_COMPARED', 'works', 'back-follower', 'behind', 'batches are not compared'),
  mutant(
    'USE_BEYOND_REFUSED',
    'works',
    'back-crashes',
    'behind',
    'use beyond a lane is only refused',
  ),
  mutant(
    'OPEN_GENERATION_JUDGED',
    'works',
    'back-again',
    'left-open',
    'what was left open counts as known',
  ),
  mutant(
    'GENERATION_NOT_LEFT_OPEN',
    'works',
    'back-follower',
    'left-open',
    'no generation is left open',
  ),
  mutant(
    'COMPARES_WITH_NOW',
    'works',
    'back-none',
    'compared',
    'the peer is compared with what came since',
  ),
  mutant(
    'RESTORE_NOT_TOLD',
    'works',
    'back-follower',
    'renewed',
    'who was put back does not say so',
  ),
  mutant('LANES_STAY', 'works', 'back-verifier', 'epoch-drops', 'lanes of before stay'),
  mutant('PEER_NOT_COMPARED', null, 'back-follower', 'behind', 'no end compares the other'),
  mutant(
    'TAKES_LOWER_EPOCH',
    null,
    'back-again',
    'higher-only',
    'the follower takes a lower epoch',
  ),
  mutant(
    ...(['RESTORED_TAKES_ANY_EPOCH', null, 'back-again', 'higher-only'] as const),
    'a follower that was put back takes any higher epoch',
  ),
  mutant(
    ...(['COUNTS_OWN_EPOCHS', null, 'back-again', 'verifier-makes'] as const),
    'an epoch is above the verifier’s own alone',
  ),
]

const witnesses = [
  witness('WORKS_AGAIN', 'back-both', 'a master answered in an epoch after a restore'),
  witness('NOTICED_BY_PEER', 'back-both', 'the verifier finds the follower put back'),
  witness('NOTICED_BY_SELF', 'back-both', 'a store finds in hello that it was put back'),
  witness('NOTICED_AT_START', 'back-both', 'the mark shows it'),
  witness('NOT_NOTICED', 'back-both', 'nothing was lost: the link goes on'),
  witness('STALE', 'back-both', 'a confirm of an earlier epoch comes late'),
]

/** Stores that are put back: docs/model/restore.pml. */
export const restore: Model = { file: 'restore.pml', configurations, mutants, witnesses }
