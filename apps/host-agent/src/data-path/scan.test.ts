import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { runTool } from '../process/tool.ts'
import type { Image } from './image.ts'
import { Pace } from './pace.ts'
import { scan } from './scan.ts'
import { ImageFolder, type TestLuksImage, unhurried } from './testing/images.ts'
import { thinViewOf } from './thin-view.ts'
import { type TransferOptions, transfer } from './transfer.ts'
import { verify } from './verify.ts'
import { zeroPlace } from './zero-file.ts'

const cluster = 65_536
const mib = 1_048_576

/** Zeros, but for random bytes at these places. */
function disk(sizeBytes: number, ...runs: readonly (readonly [offsetBytes: number, sizeBytes: number])[]): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  // No byte of a run is zero: a run of one byte would be none.
  for (const [at, size] of runs)
    bytes.set(
      randomBytes(size).map((byte) => byte | 1),
      at,
    )
  return bytes
}

/** Each with how many clusters of it have data. */
const disks: readonly (readonly [string, Buffer, number])[] = [
  ['one sector of zeros', disk(512), 0],
  ['one sector of data', disk(512, [0, 512]), 1],
  ['zeros', disk(3 * mib), 0],
  ['data everywhere', disk(2 * mib + 512, [0, 2 * mib + 512]), 33],
  ['data in a last cluster that is cut short', disk(5 * mib + 1536, [5 * mib + 1500, 36]), 1],
  ['zeros in a last cluster that is cut short', disk(mib + 4096 + 512, [7, 1]), 1],
  [
    'runs that begin and end in clusters and chunks',
    disk(4 * mib, [cluster - 1, 2], [mib - 100, 200], [3 * mib, 1]),
    5,
  ],
]

/** Small chunks that cut clusters, chunks of many clusters, and two lanes at once. */
const ways: readonly (readonly [string, TransferOptions])[] = [
  ['chunks of 16 KiB', { ...unhurried(), lanes: { laneCount: 1, chunkBytes: 16_384 } }],
  ['chunks of 192 KiB', { ...unhurried(), lanes: { laneCount: 1, chunkBytes: 3 * cluster } }],
  ['two lanes', { ...unhurried(), lanes: { laneCount: 2, chunkBytes: mib } }],
]

/** Makes QEMU check a thin image in a LUKS volume, and compare what a guest sees in it with a raw disk. */
function checkWithQemu({ place, passphrase }: TestLuksImage, rawPath: string): void {
  const luks = { driver: 'luks', 'key-secret': 's', file: { driver: 'file', filename: place.path } }
  const image = `json:${JSON.stringify({ driver: 'qcow2', file: luks })}`
  for (const command of ['check "$1"', 'compare "$1" "$2"']) {
    const { status, stdout, stderr } = spawnSync(
      'sh',
      ['-c', `cat | qemu-img ${withSecret(command)}`, 'sh', image, rawPath],
      { input: passphrase.expose((bytes) => Buffer.from(bytes)) },
    )
    assert.equal(status, 0, `${command}: ${stdout} ${stderr}`)
  }
}

function withSecret(command: string): string {
  const [verb, ...rest] = command.split(' ')
  return [verb, '--object secret,id=s,file=/dev/stdin', ...rest].join(' ')
}

/** Copies and compares the thin image of a disk into a new LUKS volume. */
async function thinCopy(folder: ImageFolder, source: Image, name: string, options: TransferOptions) {
  const view = await scan(source, options)
  const luks = await folder.luksImage(name, view.sizeBytes)
  await transfer(view, luks, options)
  await verify(view, luks, options)
  return { view, luks }
}

for (const [name, bytes, clusterCount] of disks) {
  test(`the thin image of a disk with ${name} holds it, in LUKS`, async (context) => {
    const folder = await ImageFolder.open(context)
    const source = folder.plainImage('source.raw', bytes.length, bytes)
    for (const [way, options] of ways) {
      const { view, luks } = await thinCopy(folder, source, `${way}.luks`, options)
      const empty = thinViewOf({ ...source, place: zeroPlace(bytes.length) }, null)
      assert.ok(view.sizeBytes - empty.sizeBytes <= (clusterCount + 1) * cluster, `${way}: ${view.sizeBytes} bytes`)
      assert.ok(view.sizeBytes >= empty.sizeBytes + clusterCount * cluster)
      checkWithQemu(luks, source.place.path)
    }
  })
}

test('a disk in LUKS becomes a thin one, plain or in another LUKS', async (context) => {
  const folder = await ImageFolder.open(context)
  const bytes = disk(3 * mib + 512, [cluster + 5, 10], [2 * mib, cluster], [3 * mib, 512])
  const raw = folder.plainImage('source.raw', bytes.length, bytes)
  const first = await folder.luksImage('first.luks', bytes.length)
  await transfer(raw, first, unhurried())
  const { view, luks } = await thinCopy(folder, first, 'second.luks', unhurried())
  checkWithQemu(luks, raw.place.path)
  const plain = folder.plain('thin.qcow2', view.sizeBytes)
  await transfer(view, plain, unhurried())
  await assertSame(raw, plain)
})

async function assertSame(raw: Image, qcow2: Image): Promise<void> {
  const paths = ['-f', 'raw', '-F', 'qcow2', raw.place.path, qcow2.place.path]
  const { exitCode, stdout } = await runTool('qemu-img', ['compare', ...paths])
  assert.equal(exitCode, 0, stdout)
}

test('a copy that stopped goes on where it stood, after the disk was scanned again', async (context) => {
  const folder = await ImageFolder.open(context)
  const bytes = disk(4 * mib, [0, 3 * mib])
  const source = folder.plainImage('source.raw', bytes.length, bytes)
  const options = { ...unhurried(), lanes: { laneCount: 1, chunkBytes: cluster } }
  const view = await scan(source, options)
  const luks = await folder.luksImage('disk.luks', view.sizeBytes)
  let durableBytes = 0
  const cut = transfer(view, luks, {
    ...options,
    checkpoint: {
      everyBytes: 1,
      save: async (doneBytes) => {
        durableBytes = doneBytes
        throw new Error('the power is gone')
      },
    },
    // Slow enough to be looked at on the way.
    pace: slowPace(options),
  })
  await assert.rejects(cut, /the power is gone/)
  assert.ok(durableBytes > 0 && durableBytes < view.sizeBytes)
  const again = await scan(source, options)
  assert.equal(again.sizeBytes, view.sizeBytes)
  await transfer(again, luks, { ...options, resumeAtBytes: durableBytes })
  await verify(again, luks, options)
  checkWithQemu(luks, source.place.path)
})

function slowPace({ pace }: TransferOptions): TransferOptions['pace'] {
  pace.limit(8 * mib)
  return pace
}

test('a thin copy that is not what the disk says is found, in data and in metadata', async (context) => {
  const folder = await ImageFolder.open(context)
  const bytes = disk(2 * mib, [0, 10])
  const source = folder.plainImage('source.raw', bytes.length, bytes)
  for (const at of [0, 3 * cluster]) {
    const view = await scan(source, unhurried())
    const target = folder.plain(`${at}.qcow2`, view.sizeBytes)
    await transfer(view, target, unhurried())
    const found = folder.bytes(`${at}.qcow2`)
    found.writeUInt8(found.readUInt8(at) ^ 1, at)
    writeFileSync(target.place.path, found)
    await assert.rejects(verify(view, target, unhurried()), { code: 'mismatch' })
  }
})

test('a disk that is no whole sectors has no thin image', async (context) => {
  const folder = await ImageFolder.open(context)
  await assert.rejects(scan(folder.plainImage('odd.raw', 1000), unhurried()), { code: 'bad-image', message: /1000/ })
})

test('zeros are read, encrypted and compared by several lanes at once', async (context) => {
  const folder = await ImageFolder.open(context)
  const sizeBytes = 3 * mib + 512
  const source: Image = { kind: 'plain', place: zeroPlace(sizeBytes), sizeBytes }
  const luks = await folder.luksImage('zeros.luks', sizeBytes)
  const options = { ...unhurried(), lanes: { laneCount: 2, chunkBytes: mib } }
  await transfer(source, luks, options)
  await verify(source, luks, options)
  assert.ok(!folder.bytes('zeros.luks').subarray(luks.payloadOffsetBytes).includes(Buffer.alloc(64)))
  const back = folder.plain('back.raw', sizeBytes)
  await transfer(luks, back, options)
  assert.ok(folder.bytes('back.raw').equals(Buffer.alloc(sizeBytes)))
})

test('an empty thin image is made of no file at all', async (context) => {
  const folder = await ImageFolder.open(context)
  const odd = thinViewOf({ kind: 'plain', place: zeroPlace(512), sizeBytes: 512 }, null)
  const target = folder.plain('empty.qcow2', odd.sizeBytes)
  await transfer(odd, target, unhurried())
  await verify(odd, target, unhurried())
  await assertSame(folder.plainImage('zeros.raw', 512, Buffer.alloc(512)), target)
})

test('a scan is held back by what has data alone, in any thread', async (context) => {
  const folder = await ImageFolder.open(context)
  const zeros = folder.plainImage('zeros.raw', 64 * mib, disk(64 * mib))
  const pace = new Pace()
  // At this rate the zeros would take an hour.
  pace.limit(16_384)
  const options = { ...unhurried(), pace }
  await scan(zeros, options)
  await scan({ ...zeros, place: zeroPlace(zeros.sizeBytes) }, options)
  const stop = new AbortController()
  const full = folder.plainImage('full.raw', 64 * mib)
  let doneBytes = 0
  const running = scan(full, {
    ...options,
    signal: stop.signal,
    onProgress: (bytes) => {
      doneBytes = bytes
      if (bytes > 0) stop.abort()
    },
  })
  await assert.rejects(running, { code: 'aborted' })
  assert.ok(doneBytes <= 2 * mib, `${doneBytes} bytes went in a moment`)
})
