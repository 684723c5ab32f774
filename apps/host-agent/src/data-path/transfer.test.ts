import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { newLuksImage, plainImage, unhurried } from './testing/images.ts'
import { type TransferOptions, transfer } from './transfer.ts'
import { verify } from './verify.ts'

/** Whole chunks and units, a bit more, a bit less, and one byte. */
const sizes = [1, 511, 512, 1_048_576, 1_048_577, 3 * 1_048_576 - 1, 2 * 1_048_576 + 513]

for (const sizeBytes of sizes) {
  test(`an image of ${sizeBytes} bytes comes back bit for bit through LUKS and a second LUKS`, async (context) => {
    const folder = temporaryFolder(context)
    const source = plainImage(folder, 'source.raw', sizeBytes)
    const first = await newLuksImage(folder, 'first.luks', sizeBytes)
    const second = await newLuksImage(folder, 'second.luks', sizeBytes)
    const target = { kind: 'plain', path: join(folder, 'target.raw'), sizeBytes } as const
    for (const [from, to] of [
      [source, first],
      [first, second],
      [second, target],
    ] as const) {
      await transfer(from, to, unhurried())
      await verify(from, to, unhurried())
    }
    await verify(source, target, unhurried())
    assert.ok(readFileSync(source.path).equals(readFileSync(target.path)))
    const padded = Math.ceil(sizeBytes / 512) * 512
    assert.equal(statSync(first.path).size, 2_097_152 + padded)
    assert.ok(!readFileSync(first.path).subarray(2_097_152).equals(readFileSync(second.path).subarray(2_097_152)))
    assert.equal(statSync(target.path).mode & 0o777, 0o600)
    assert.equal(statSync(first.path).mode & 0o777, 0o600)
  })
}

test("QEMU's own tool reads what was encrypted", async (context) => {
  const folder = temporaryFolder(context)
  const source = plainImage(folder, 'source.raw', 5 * 1_048_576 + 512)
  const luks = await newLuksImage(folder, 'disk.luks', source.sizeBytes)
  await transfer(source, luks, unhurried())
  const target = join(folder, 'back.raw')
  const options = `driver=luks,key-secret=s,file.driver=file,file.filename=${luks.path}`
  const { status, stderr } = spawnSync(
    'sh',
    [
      ...['-c', 'cat | qemu-img convert --object secret,id=s,file=/dev/stdin --image-opts "$1" -O raw "$2"'],
      ...(['sh', options, target] as const),
    ],
    { input: luks.passphrase.expose((bytes) => Uint8Array.from(bytes)), encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  assert.ok(readFileSync(target).equals(readFileSync(source.path)))
})

test('zero areas of a plain target are holes, and read as zeros', async (context) => {
  const folder = temporaryFolder(context)
  const sizeBytes = 8 * 1_048_576 + 100
  const source = { kind: 'plain', path: join(folder, 'source.raw'), sizeBytes } as const
  writeFileSync(source.path, '')
  truncateSync(source.path, sizeBytes)
  const bytes = readFileSync(source.path)
  bytes.write('in the middle', 3 * 1_048_576 + 70_000)
  writeFileSync(source.path, bytes)
  const luks = await newLuksImage(folder, 'disk.luks', sizeBytes)
  const target = { ...source, path: join(folder, 'target.raw') }
  await transfer(source, luks, unhurried())
  await transfer(luks, target, unhurried())
  await verify(luks, target, unhurried())
  assert.ok(readFileSync(target.path).equals(bytes))
  const { size, blocks } = statSync(target.path)
  assert.equal(size, sizeBytes)
  assert.ok(blocks * 512 <= 131_072, `${blocks * 512} bytes in use`)
})

test('progress rises to the size of the image, in each phase', async (context) => {
  const folder = temporaryFolder(context)
  const source = plainImage(folder, 'source.raw', 3_000_000)
  const luks = await newLuksImage(folder, 'disk.luks', source.sizeBytes)
  const seen: { readonly phase: string; readonly doneBytes: number; readonly totalBytes: number }[] = []
  const options: TransferOptions = { ...unhurried(), onProgress: (progress) => seen.push(progress) }
  await transfer(source, luks, options)
  await verify(source, luks, options)
  for (const phase of ['copy', 'verify']) {
    const done = seen.filter((progress) => progress.phase === phase).map((progress) => progress.doneBytes)
    assert.equal(done.at(-1), 3_000_000)
    assert.deepEqual(
      done,
      done.toSorted((one, other) => one - other),
    )
  }
  assert.ok(seen.every((progress) => progress.totalBytes === 3_000_000))
})

test('a transfer that is stopped leaves no target, of either kind', async (context) => {
  const folder = temporaryFolder(context)
  const source = plainImage(folder, 'source.raw', 3_000_000)
  const luks = await newLuksImage(folder, 'disk.luks', source.sizeBytes)
  for (const target of [luks, { ...source, path: join(folder, 'target.raw') }]) {
    const controller = new AbortController()
    // Stopped between the check at its start and its first chunk.
    const running = transfer(source, target, { ...unhurried(), signal: controller.signal })
    controller.abort()
    await assert.rejects(running, { name: 'DataPathError', code: 'aborted' })
    assert.ok(!existsSync(target.path))
    await assert.rejects(transfer(source, target, { ...unhurried(), signal: controller.signal }), { code: 'aborted' })
  }
  assert.deepEqual(readdirSync(folder), ['source.raw'])
})

test('an error in the caller ends the transfer', async (context) => {
  const folder = temporaryFolder(context)
  const source = plainImage(folder, 'source.raw', 3_000_000)
  const target = { ...source, path: join(folder, 'target.raw') }
  const failing: TransferOptions = {
    ...unhurried(),
    onProgress: () => {
      throw new RangeError('of the caller')
    },
  }
  await assert.rejects(transfer(source, target, failing), RangeError)
  assert.ok(!existsSync(target.path))
})

test('a source that changes while it is read spoils the transfer', async (context) => {
  const folder = temporaryFolder(context)
  const changes: readonly (readonly [string, (path: string) => void])[] = [
    ['grows', (path) => truncateSync(path, 3_000_001)],
    ['shrinks', (path) => truncateSync(path, 1000)],
    ['is written', (path) => writeFileSync(path, Buffer.alloc(3_000_000, 1))],
  ]
  for (const [name, change] of changes) {
    const source = plainImage(folder, `${name}.raw`, 3_000_000)
    const target = { ...source, path: join(folder, 'target.raw') }
    let changed = false
    const options: TransferOptions = {
      ...unhurried(),
      onProgress: () => {
        if (!changed) change(source.path)
        changed = true
      },
    }
    // The worker may be through already when a shrunk file would have cut it short.
    const error = await transfer(source, target, options).catch((reason: unknown) => reason)
    assert.ok(error instanceof Error && 'code' in error)
    assert.ok(
      error.code === 'source-changed' || (name === 'shrinks' && error.code === 'truncated'),
      `${name}: ${error}`,
    )
    assert.ok(!existsSync(target.path))
  }
})

test('nothing that is already there is written or removed', async (context) => {
  const folder = temporaryFolder(context)
  const source = plainImage(folder, 'source.raw', 4096)
  const there = plainImage(folder, 'there.raw', 4096)
  const before = readFileSync(there.path)
  await assert.rejects(transfer(source, there, unhurried()), { code: 'already-exists' })
  assert.ok(readFileSync(there.path).equals(before))
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'))
  await assert.rejects(transfer(source, { ...there, path: join(folder, 'dangling') }, unhurried()), {
    code: 'already-exists',
  })
  const luks = await newLuksImage(folder, 'disk.luks', 4096)
  await transfer(source, luks, unhurried())
  const full = readFileSync(luks.path)
  await assert.rejects(transfer(source, luks, unhurried()), { code: 'target-not-empty' })
  assert.ok(readFileSync(luks.path).equals(full))
})

test('links, folders, pipes and missing files are no images', async (context) => {
  const folder = temporaryFolder(context)
  const image = plainImage(folder, 'image.raw', 4096)
  const at = (name: string) => join(folder, name)
  symlinkSync(image.path, at('link'))
  mkdirSync(at('folder'))
  assert.equal(spawnSync('mkfifo', [at('pipe')]).status, 0)
  linkSync(image.path, at('second-name'))
  const target = { ...image, path: at('target.raw') }
  for (const [name, code] of [
    ['link', 'not-regular'],
    ['folder', 'not-regular'],
    ['pipe', 'not-regular'],
    ['missing', 'not-found'],
  ] as const) {
    await assert.rejects(transfer({ ...image, path: at(name) }, target, unhurried()), { code }, name)
    assert.ok(!existsSync(target.path))
  }
  const luks = await newLuksImage(folder, 'disk.luks', 4096)
  symlinkSync(luks.path, at('luks-link'))
  await assert.rejects(transfer(image, { ...luks, path: at('luks-link') }, unhurried()), { code: 'not-regular' })
})

test('sizes must agree, with the file and with each other', async (context) => {
  const folder = temporaryFolder(context)
  const image = plainImage(folder, 'image.raw', 4096)
  const target = { ...image, path: join(folder, 'target.raw') }
  const refused = { code: 'size-mismatch' }
  await assert.rejects(transfer(image, { ...target, sizeBytes: 4097 }, unhurried()), refused)
  await assert.rejects(transfer({ ...image, sizeBytes: 4095 }, { ...target, sizeBytes: 4095 }, unhurried()), refused)
  for (const sizeBytes of [0, -1, 1.5]) {
    await assert.rejects(transfer({ ...image, sizeBytes }, { ...target, sizeBytes }, unhurried()), refused)
  }
  const luks = await newLuksImage(folder, 'disk.luks', 4096)
  await transfer(image, luks, unhurried())
  truncateSync(luks.path, statSync(luks.path).size - 1)
  await assert.rejects(transfer(luks, target, unhurried()), { code: 'truncated' })
})

test('data in the padding of a payload is not dropped silently', async (context) => {
  const folder = temporaryFolder(context)
  const whole = plainImage(folder, 'whole.raw', 1024)
  const luks = await newLuksImage(folder, 'disk.luks', 1024)
  await transfer(whole, luks, unhurried())
  const target = { kind: 'plain', path: join(folder, 'target.raw'), sizeBytes: 1000 } as const
  await assert.rejects(transfer({ ...luks, sizeBytes: 1000 }, target, unhurried()), { code: 'padding-not-zero' })
  assert.ok(!existsSync(target.path))
})

test('an image that cannot fit is refused before anything is written', async (context) => {
  const folder = temporaryFolder(context)
  const sizeBytes = 2 ** 46
  const source = { kind: 'plain', path: join(folder, 'source.raw'), sizeBytes } as const
  writeFileSync(source.path, '')
  try {
    truncateSync(source.path, sizeBytes)
  } catch {
    // ext4 has no files as large; one of 8 TiB is still more than its disk.
    truncateSync(source.path, 2 ** 43)
  }
  const image = { ...source, sizeBytes: statSync(source.path).size }
  const target = { ...image, path: join(folder, 'target.raw') }
  await assert.rejects(transfer(image, target, unhurried()), { code: 'no-space', message: /\d+ are missing/ })
  await assert.rejects(newLuksImage(folder, 'disk.luks', image.sizeBytes), { code: 'no-space' })
  assert.deepEqual(readdirSync(folder), ['source.raw'])
})

test('nothing is written into a file that has a second name', async (context) => {
  const folder = temporaryFolder(context)
  const source = plainImage(folder, 'source.raw', 512)
  const target = await newLuksImage(folder, 'target.luks', 512)
  linkSync(target.path, join(folder, 'elsewhere'))
  const before = readFileSync(target.path)
  await assert.rejects(transfer(source, target, unhurried()), { code: 'not-regular' })
  assert.ok(readFileSync(join(folder, 'elsewhere')).equals(before))
})
