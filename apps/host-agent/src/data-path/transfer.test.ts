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
import { test } from 'node:test'
import { ImageFolder, unhurried } from './testing/images.ts'
import { type TransferOptions, transfer } from './transfer.ts'
import { verify } from './verify.ts'

/** Whole chunks and units, a bit more, a bit less, and one byte. */
const sizes = [1, 511, 512, 1_048_576, 1_048_577, 3 * 1_048_576 - 1, 2 * 1_048_576 + 513]

for (const sizeBytes of sizes) {
  test(`an image of ${sizeBytes} bytes comes back bit for bit through LUKS and a second LUKS`, async (context) => {
    const folder = await ImageFolder.open(context)
    const source = folder.plainImage('source.raw', sizeBytes)
    const first = await folder.luksImage('first.luks', sizeBytes)
    const second = await folder.luksImage('second.luks', sizeBytes)
    const target = folder.plain('target.raw', sizeBytes)
    for (const [from, to] of [
      [source, first],
      [first, second],
      [second, target],
    ] as const) {
      await transfer(from, to, unhurried())
      await verify(from, to, unhurried())
    }
    await verify(source, target, unhurried())
    assert.ok(readFileSync(source.place.path).equals(readFileSync(target.place.path)))
    const padded = Math.ceil(sizeBytes / 512) * 512
    assert.equal(statSync(first.place.path).size, 2_097_152 + padded)
    assert.ok(
      !readFileSync(first.place.path).subarray(2_097_152).equals(readFileSync(second.place.path).subarray(2_097_152)),
    )
    assert.equal(statSync(target.place.path).mode & 0o777, 0o600)
    assert.equal(statSync(first.place.path).mode & 0o777, 0o600)
  })
}

test("QEMU's own tool reads what was encrypted", async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 5 * 1_048_576 + 512)
  const luks = await folder.luksImage('disk.luks', source.sizeBytes)
  await transfer(source, luks, unhurried())
  const target = folder.at('back.raw')
  const options = `driver=luks,key-secret=s,file.driver=file,file.filename=${luks.place.path}`
  const { status, stderr } = spawnSync(
    'sh',
    [
      ...['-c', 'cat | qemu-img convert --object secret,id=s,file=/dev/stdin --image-opts "$1" -O raw "$2"'],
      ...(['sh', options, target] as const),
    ],
    { input: luks.passphrase.expose((bytes) => Uint8Array.from(bytes)), encoding: 'utf8' },
  )
  assert.equal(status, 0, stderr)
  assert.ok(readFileSync(target).equals(readFileSync(source.place.path)))
})

test('zero areas of a plain target are holes, and read as zeros', async (context) => {
  const folder = await ImageFolder.open(context)
  const sizeBytes = 8 * 1_048_576 + 100
  const source = folder.plain('source.raw', sizeBytes)
  writeFileSync(source.place.path, '')
  truncateSync(source.place.path, sizeBytes)
  const bytes = readFileSync(source.place.path)
  bytes.write('in the middle', 3 * 1_048_576 + 70_000)
  writeFileSync(source.place.path, bytes)
  const luks = await folder.luksImage('disk.luks', sizeBytes)
  const target = folder.plain('target.raw', source.sizeBytes)
  await transfer(source, luks, unhurried())
  await transfer(luks, target, unhurried())
  await verify(luks, target, unhurried())
  assert.ok(readFileSync(target.place.path).equals(bytes))
  const { size, blocks } = statSync(target.place.path)
  assert.equal(size, sizeBytes)
  assert.ok(blocks * 512 <= 131_072, `${blocks * 512} bytes in use`)
})

test('progress rises to the size of the image, in each phase', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 3_000_000)
  const luks = await folder.luksImage('disk.luks', source.sizeBytes)
  for (const phase of [transfer, verify]) {
    const seen: number[] = []
    await phase(source, luks, { ...unhurried(), onProgress: (doneBytes) => seen.push(doneBytes) })
    assert.equal(seen.at(-1), 3_000_000)
    assert.deepEqual(
      seen,
      seen.toSorted((one, other) => one - other),
    )
  }
})

test('a transfer that is stopped leaves its target to its caller, of either kind', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 3_000_000)
  const before = folder.bytes('source.raw')
  const luks = await folder.luksImage('disk.luks', source.sizeBytes)
  for (const [target, again] of [
    [luks, 'target-not-empty'],
    [folder.plain('target.raw', source.sizeBytes), 'already-exists'],
  ] as const) {
    const controller = new AbortController()
    // Stopped between the check at its start and its first chunk.
    const running = transfer(source, target, { ...unhurried(), signal: controller.signal })
    controller.abort()
    await assert.rejects(running, { name: 'DataPathError', code: 'aborted' })
    await assert.rejects(transfer(source, target, { ...unhurried(), signal: controller.signal }), { code: 'aborted' })
    await assert.rejects(transfer(source, target, unhurried()), { code: again })
    await target.place.remove()
  }
  assert.ok(folder.bytes('source.raw').equals(before))
})

test('an error in the caller ends the transfer', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 3_000_000)
  const target = folder.plain('target.raw', source.sizeBytes)
  const failing: TransferOptions = {
    ...unhurried(),
    onProgress: () => {
      throw new RangeError('of the caller')
    },
  }
  await assert.rejects(transfer(source, target, failing), RangeError)
})

test('a source that changes while it is read spoils the transfer', async (context) => {
  const folder = await ImageFolder.open(context)
  const changes: readonly (readonly [string, (path: string) => void])[] = [
    ['grows', (path) => truncateSync(path, 3_000_001)],
    ['shrinks', (path) => truncateSync(path, 1000)],
    ['is written', (path) => writeFileSync(path, Buffer.alloc(3_000_000, 1))],
  ]
  for (const [name, change] of changes) {
    const source = folder.plainImage(`${name}.raw`, 3_000_000)
    const target = folder.plain('target.raw', source.sizeBytes)
    let changed = false
    const options: TransferOptions = {
      ...unhurried(),
      onProgress: () => {
        if (!changed) change(source.place.path)
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
    await target.place.remove()
  }
})

test('nothing that is already there is written or removed', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 4096)
  const there = folder.plainImage('there.raw', 4096)
  const before = readFileSync(there.place.path)
  await assert.rejects(transfer(source, there, unhurried()), { code: 'already-exists' })
  assert.ok(readFileSync(there.place.path).equals(before))
  symlinkSync(folder.at('nowhere'), folder.at('dangling'))
  await assert.rejects(transfer(source, folder.plain('dangling', 4096), unhurried()), {
    code: 'already-exists',
  })
  const luks = await folder.luksImage('disk.luks', 4096)
  await transfer(source, luks, unhurried())
  const full = readFileSync(luks.place.path)
  await assert.rejects(transfer(source, luks, unhurried()), { code: 'target-not-empty' })
  assert.ok(readFileSync(luks.place.path).equals(full))
})

test('links, folders, pipes and missing files are no images', async (context) => {
  const folder = await ImageFolder.open(context)
  const image = folder.plainImage('image.raw', 4096)
  const at = (name: string) => folder.at(name)
  symlinkSync(image.place.path, at('link'))
  mkdirSync(at('folder'))
  assert.equal(spawnSync('mkfifo', [at('pipe')]).status, 0)
  linkSync(image.place.path, at('second-name'))
  const target = folder.plain('target.raw', image.sizeBytes)
  for (const [name, code] of [
    ['link', 'not-regular'],
    ['folder', 'not-regular'],
    ['pipe', 'not-regular'],
    ['missing', 'not-found'],
  ] as const) {
    await assert.rejects(transfer(folder.plain(name, image.sizeBytes), target, unhurried()), { code }, name)
    assert.ok(!existsSync(target.place.path))
  }
  const luks = await folder.luksImage('disk.luks', 4096)
  symlinkSync(luks.place.path, at('luks-link'))
  await assert.rejects(transfer(image, { ...luks, place: folder.place('luks-link') }, unhurried()), {
    code: 'not-regular',
  })
})

test('sizes must agree, with the file and with each other', async (context) => {
  const folder = await ImageFolder.open(context)
  const image = folder.plainImage('image.raw', 4096)
  const target = folder.plain('target.raw', image.sizeBytes)
  const refused = { code: 'size-mismatch' }
  await assert.rejects(transfer(image, { ...target, sizeBytes: 4097 }, unhurried()), refused)
  await assert.rejects(transfer({ ...image, sizeBytes: 4095 }, { ...target, sizeBytes: 4095 }, unhurried()), refused)
  for (const sizeBytes of [0, -1, 1.5]) {
    await assert.rejects(transfer({ ...image, sizeBytes }, { ...target, sizeBytes }, unhurried()), refused)
  }
  const luks = await folder.luksImage('disk.luks', 4096)
  await transfer(image, luks, unhurried())
  truncateSync(luks.place.path, statSync(luks.place.path).size - 1)
  await assert.rejects(transfer(luks, target, unhurried()), { code: 'truncated' })
})

test('data in the padding of a payload is not dropped silently', async (context) => {
  const folder = await ImageFolder.open(context)
  const whole = folder.plainImage('whole.raw', 1024)
  const luks = await folder.luksImage('disk.luks', 1024)
  await transfer(whole, luks, unhurried())
  const target = folder.plain('target.raw', 1000)
  await assert.rejects(transfer({ ...luks, sizeBytes: 1000 }, target, unhurried()), { code: 'padding-not-zero' })
})

test('an image that cannot fit is refused before anything is written', async (context) => {
  const folder = await ImageFolder.open(context)
  const sizeBytes = 2 ** 46
  const source = folder.plain('source.raw', sizeBytes)
  writeFileSync(source.place.path, '')
  try {
    truncateSync(source.place.path, sizeBytes)
  } catch {
    // ext4 has no files as large; one of 8 TiB is still more than its disk.
    truncateSync(source.place.path, 2 ** 43)
  }
  const image = { ...source, sizeBytes: statSync(source.place.path).size }
  const target = folder.plain('target.raw', image.sizeBytes)
  await assert.rejects(transfer(image, target, unhurried()), { code: 'no-space', message: /\d+ are missing/ })
  await assert.rejects(folder.luksImage('disk.luks', image.sizeBytes), { code: 'no-space' })
  assert.deepEqual(readdirSync(folder.path), ['source.raw'])
})

test('nothing is written into a file that has a second name', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 512)
  const target = await folder.luksImage('target.luks', 512)
  linkSync(target.place.path, folder.at('elsewhere'))
  const before = readFileSync(target.place.path)
  await assert.rejects(transfer(source, target, unhurried()), { code: 'not-regular' })
  assert.ok(readFileSync(folder.at('elsewhere')).equals(before))
})
