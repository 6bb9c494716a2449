import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Two folders into which a key-file device puts the same files. */
export class KeyFileFolders {
  readonly #root = mkdtempSync(join(tmpdir(), 'keyspring key files '))
  readonly leader = mkdtempSync(join(this.#root, 'leader '))
  readonly follower = mkdtempSync(join(this.#root, 'follower '))
  #count = 0

  /** A name as the device gives them. */
  nextName(): string {
    this.#count += 1
    return `300101_${String(1000 + this.#count)}_${this.#count.toString(16).padStart(8, '0')}.cor`
  }

  put(directory: string, name: string, content: Buffer): void {
    const path = join(directory, name)
    writeFileSync(`${path}.part`, content, { mode: 0o600 })
    renameSync(`${path}.part`, path)
  }

  putBoth(content: Buffer, name = this.nextName()): string {
    for (const directory of [this.leader, this.follower]) this.put(directory, name, content)
    return name
  }

  remove(): void {
    rmSync(this.#root, { recursive: true })
  }
}
