import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { DemoClients, KmeFigures } from '../../src/demo/clients.ts'
import { demoLayout, portsOf } from '../../src/demo/layout.ts'
import type { DemoOptions } from '../../src/demo/options.ts'
import type { DemoReport } from '../../src/demo/report.ts'

const entry = resolve(import.meta.dirname, '../../bin/keyspring.js')

/** A folder whose name a careless program would take apart, gone when disposed. */
export const temporaryFolder = (): Disposable & { readonly path: string } => {
  const path = mkdtempSync(join(tmpdir(), "keyspring demo's "))
  return {
    path,
    [Symbol.dispose]: () => {
      rmSync(path, { recursive: true, force: true })
    },
  }
}

const isFree = async (port: number): Promise<boolean> => {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** A base whose ports are all free now. */
export const freePortBase = async (): Promise<number> => {
  for (;;) {
    const base = 20_000 + Math.floor(Math.random() * 10_000)
    const free = await Promise.all(portsOf(demoLayout('', base)).map(isFree))
    if (free.every(Boolean)) return base
  }
}

export const isListening = async (port: number): Promise<boolean> => {
  const socket = createConnection({ host: '127.0.0.1', port })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

export interface DemoRun extends Disposable {
  readonly child: ChildProcess
  /** Everything that it wrote so far. */
  output(): string
  /** Resolves when it has written `text`; rejects where it ended before. */
  wrote(text: string): Promise<void>
  /** Resolves with the exit code or signal. */
  readonly ended: Promise<number | string>
}

/** The demo as a process of its own, as `npm start` runs it. */
export const startDemo = (...args: readonly string[]): DemoRun => {
  const child = spawn(process.execPath, [entry, 'demo', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      child.emit('wrote')
    })
  }
  const ended = new Promise<number | string>((settle) => {
    child.once('close', (code, signal) => {
      settle(code ?? signal ?? '')
    })
  })
  const wrote = (text: string): Promise<void> =>
    new Promise((settle, reject) => {
      const look = (): void => {
        if (output.includes(text)) settle()
      }
      child.on('wrote', look)
      void ended.then(() => {
        reject(new Error(`the demo ended without "${text}":\n${output}`))
      })
      look()
    })
  return {
    child,
    output: () => output,
    wrote,
    ended,
    [Symbol.dispose]: () => {
      if (child.exitCode === null) child.kill('SIGTERM')
    },
  }
}

/** Node and a script that stands for the CLI. */
export const fakeProgram = (folder: string, script: string) => {
  const file = join(folder, 'fake cli.mjs')
  writeFileSync(file, script)
  chmodSync(file, 0o600)
  return { node: process.execPath, entry: file }
}

export const figures = (kmeId: string, more: Partial<KmeFigures> = {}): KmeFigures => ({
  kmeId,
  ready: true,
  reason: null,
  keysStored: 1234,
  qber: 0.0159,
  secretKeyRateBps: 5998,
  ...more,
})

/** Clients of KMEs that have keys at once. */
export const readyClients = (): DemoClients => ({
  figures: async (_layout, site) => figures(site.kmeId),
  drawKey: async () => ({ keyId: 'k', key: Buffer.alloc(32, 1) }),
  fetchKey: async () => ({ keyId: 'k', key: Buffer.alloc(32, 1) }),
})

/** A report that keeps what it was told. */
export const recordingReport = (): DemoReport & { readonly told: string[] } => {
  const told: string[] = []
  return {
    told,
    prepared: (_layout, _options, made) => told.push(`prepared: ${made.join('; ')}`),
    waiting: () => undefined,
    ready: () => told.push('ready'),
    figures: () => undefined,
    delivered: ({ keyId }) => told.push(`delivered ${keyId}`),
    stopping: () => told.push('stopping'),
    stopped: () => told.push('stopped'),
  }
}

export const optionsFor = (dir: string, portBase: number | undefined): DemoOptions => ({
  dir,
  portBase,
  lengthKm: 25,
  speedUp: 1,
  preset: 'entry',
  once: false,
})
