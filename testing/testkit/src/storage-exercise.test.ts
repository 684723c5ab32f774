import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type DescriptorTools, errno, NodeStorage } from '@cryptvisor/storage'
import { SimulatedStorage } from './simulated-storage/simulated-storage.ts'
import { exerciseDevice, exerciseStorage } from './storage-exercise.ts'

/** util-linux's own programs, which get the file as their descriptor 3. */
const tools: DescriptorTools = {
  lock: async (descriptor) =>
    (await run(descriptor, 'flock', ['--nonblock', '--conflict-exit-code', '9', '3'], [0, 9])) === 0,
  allocate: async (descriptor, sizeBytes) =>
    (await run(descriptor, 'fallocate', ['--length', `${sizeBytes}`, '/proc/self/fd/3'], [0])) === 0,
}

async function run(descriptor: number, command: string, args: string[], expected: number[]): Promise<number> {
  if (descriptor < 0) throw errno('EBADF', command)
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit', descriptor] })
  const [code] = await once(child, 'exit')
  assert.ok(expected.includes(code), `${command} ended with ${code}`)
  return Number(code)
}

function realFolder(): { folder: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-storage-'))
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

exerciseStorage('NodeStorage', async () => {
  const { folder, remove } = realFolder()
  return {
    storage: new NodeStorage(tools),
    path: folder,
    plantLink: async (name, target) => symlinkSync(target, join(folder, name)),
    plantPipe: async (name) => void execFileSync('mkfifo', [join(folder, name)]),
    [Symbol.asyncDispose]: async () => remove(),
  }
})

exerciseStorage('SimulatedStorage', async () => {
  const storage = new SimulatedStorage({ fileSystems: { '/store': {}, '/other': {} } })
  storage.plant('/store/vm/a', { kind: 'folder' })
  return {
    storage,
    path: '/store/vm/a',
    plantLink: async (name, target) => storage.plant(`/store/vm/a/${name}`, { kind: 'link', target }),
    plantPipe: async (name) => storage.plant(`/store/vm/a/${name}`, { kind: 'pipe' }),
    [Symbol.asyncDispose]: async () => {},
  }
})

const deviceBytes = 2_097_152

test('NodeStorage: a block device', { skip: loopSkip() }, async (context) => {
  const { folder, remove } = realFolder()
  context.after(remove)
  const [image, filePath] = [join(folder, 'image'), join(folder, 'file')]
  writeFileSync(image, '')
  writeFileSync(filePath, '')
  truncateSync(image, deviceBytes)
  const path = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim()
  try {
    const storage = new NodeStorage(tools)
    await exerciseDevice({ storage, path, sizeBytes: deviceBytes, filePath })
  } finally {
    execFileSync('losetup', ['--detach', path])
  }
})

test('SimulatedStorage: a block device', async () => {
  const storage = new SimulatedStorage({ devices: { '/dev/a': deviceBytes } })
  storage.plant('/file', { kind: 'file', bytes: new Uint8Array() })
  const device = { storage, path: '/dev/a', sizeBytes: deviceBytes, filePath: '/file' }
  await exerciseDevice(device)
})

/** Why there is no loop device here; `false` when there is. */
function loopSkip(): string | false {
  try {
    accessSync('/dev/loop-control', constants.R_OK | constants.W_OK)
    return false
  } catch {
    return 'no loop device may be set up here'
  }
}
