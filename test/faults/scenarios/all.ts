import type { Scenario } from '../scenario.ts'
import { clock } from './clock.ts'
import { confirmLocal } from './confirm-local.ts'
import { diskFull, ioError } from './disk.ts'
import { everyFsync } from './every-fsync.ts'
import { fewFiles } from './few-files.ts'
import { freeze } from './freeze.ts'
import { kill } from './kill.ts'
import { redelivery } from './redelivery.ts'
import { restoreBoth, restoreCommand, restoreOne } from './restore.ts'
import { rotateKek } from './rotate-kek.ts'
import { slowDisk } from './slow-disk.ts'
import { copiedFiles, damagedFiles } from './store-files.ts'
import { messages, oneWay, partition, slowWire } from './wire.ts'

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [
  kill,
  confirmLocal,
  redelivery,
  everyFsync,
  partition,
  oneWay,
  messages,
  slowWire,
  freeze,
  diskFull,
  ioError,
  slowDisk,
  fewFiles,
  clock,
  restoreOne,
  restoreBoth,
  restoreCommand,
  copiedFiles,
  damagedFiles,
  rotateKek,
]
