import { randomBytes } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { COR } from '../../src/drivers/key-files/cor.ts'
import { type FileFacts, KeyFolder } from '../../src/drivers/key-files/files.ts'
import { Intake } from '../../src/drivers/key-files/intake.ts'
import { keyFilesOptionsSchema } from '../../src/drivers/key-files/options.ts'
import { HealthTests } from '../../src/links/health-tests.ts'
import { refKey } from '../../src/model/block.ts'
import { systemRandom } from '../../src/support/system-clock.ts'
import { FakeClock } from '../helpers/fake-clock.ts'
import { RecordingSink, fakeContext } from '../helpers/fake-driver-context.ts'
import { KeyFileFolders } from '../helpers/key-file-folders.ts'

/** A folder with files that the user of the test may not open, whoever that is. */
class GuardedFolder extends KeyFolder {
  readonly guarded = new Map<string, string>()

  override async open(facts: FileFacts): Promise<FileHandle | null> {
    const code = this.guarded.get(facts.name)
    if (code !== undefined) throw Object.assign(new Error(`${code}: no`), { code })
    return super.open(facts)
  }
}

let folders: KeyFileFolders
beforeEach(() => {
  folders = new KeyFileFolders()
})
afterEach(() => {
  folders.remove()
})

const world = (of: Record<string, unknown> = {}) => {
  const [clock, sink, directory] = [new FakeClock(), new RecordingSink(), folders.leader]
  const options = keyFilesOptionsSchema.parse({ directory, settleMs: 10, ...of })
  const context = fakeContext({ clock, sink })
  const folder = new GuardedFolder(directory, COR.suffix, options)
  const intake = new Intake(context, options, folder)
  intake.credit.set(1024 * 1024)
  const look = async (): Promise<void> => {
    await clock.advanceAsync(20)
    await intake.round()
  }
  return { folder, context, sink, look }
}

test('a file that may not be read is said once, and does not keep back those after it', async () => {
  const { folder, context, sink, look } = world()
  folders.put(folders.leader, 'a.cor', randomBytes(64))
  folders.put(folders.leader, 'b.cor', randomBytes(64))
  folder.guarded.set('a.cor', 'EACCES')
  for (let round = 0; round < 3; round += 1) await look()
  expect(sink.names).toEqual([`${COR.streamId}/b.cor:0`])
  expect(context.events.alarms).toEqual([
    'major: key file a.cor may not be read by this user (EACCES): correct that or remove it',
  ])
  folder.guarded.clear()
  await look()
  expect(sink.blocks.size).toBe(2)
})

test('a disk that cannot be read stops the round: it is tried again, and no file is passed over', async () => {
  const { folder, sink, look } = world()
  folders.put(folders.leader, 'a.cor', randomBytes(64))
  folders.put(folders.leader, 'b.cor', randomBytes(64))
  folder.guarded.set('a.cor', 'EIO')
  await look()
  await expect(look()).rejects.toMatchObject({ code: 'EIO' })
  expect(sink.blocks.size).toBe(0)
})

test('blocks that are offered again after an error are known to the health tests, however small they are', async () => {
  const { sink, look } = world({ blockRecords: 1 })
  folders.put(folders.leader, 'a.cor', randomBytes(3000 * 32))
  const tests = new HealthTests({ random: systemRandom })
  const findings: string[] = []
  const offer = sink.offer.bind(sink)
  sink.offer = (blocks, checkpoint) => {
    for (const { ref, material } of blocks) {
      const finding = tests.test(ref.streamId, material, refKey(ref))
      if (finding !== null) findings.push(finding)
    }
    return offer(blocks, checkpoint)
  }
  sink.failing = 1
  await look()
  await expect(look()).rejects.toMatchObject({ code: 'STORE_FAILED' })
  await look()
  expect(sink.blocks.size).toBe(3000)
  expect(findings).toEqual([])
})
