import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { SimulatedStorage } from '@cryptvisor/testkit'
import type { Image } from './image.ts'
import { placeIn } from './place.ts'
import { ImageFolder, newLuksImage, payloadOffsetBytes, unhurried } from './testing/images.ts'
import { type TransferOptions, transfer } from './transfer.ts'
import { verify } from './verify.ts'

const chunkBytes = 65_536
const sizeBytes = 10 * chunkBytes + 1001

/** A plain source on a simulated disk, and where its copies go. */
async function simulated() {
  const storage = new SimulatedStorage({ fileSystems: { '/disk': {} } })
  storage.plant('/disk/source.raw', { kind: 'file', bytes: randomBytes(sizeBytes) })
  const folder = await storage.openFolder('/disk')
  assert.ok(folder !== null)
  const plain = (name: string): Image => ({ kind: 'plain', place: placeIn(folder, name), sizeBytes })
  const luks = await newLuksImage(placeIn(folder, 'target.luks'), sizeBytes)
  return { storage, folder, source: plain('source.raw'), targets: [luks, plain('target.raw')] as const }
}

type Checkpoint = NonNullable<TransferOptions['checkpoint']>

function options(checkpoint: Checkpoint, more: Partial<TransferOptions> = {}): TransferOptions {
  return { ...unhurried(), lanes: { laneCount: 1, chunkBytes }, checkpoint, ...more }
}

test('what a checkpoint says is done is on the disk, whatever a power loss takes', async () => {
  const { storage, source, targets } = await simulated()
  for (const target of targets) {
    const kept: [number, Buffer | undefined][] = []
    const save = async (doneBytes: number) => {
      const left = storage.cut(storage.trace.length, 'nothing').files()
      kept.push([doneBytes, left.get(target.place.path)])
    }
    await transfer(source, target, options({ everyBytes: 2 * chunkBytes, save }))
    const offset = target.kind === 'luks' ? payloadOffsetBytes : 0
    const whole = storage.files().get(target.place.path)
    assert.ok(whole !== undefined)
    assert.ok(kept.length >= 3)
    for (const [at, [doneBytes, bytes]] of kept.entries()) {
      assert.ok(doneBytes >= 2 * chunkBytes + (kept[at - 1]?.[0] ?? 0))
      assert.ok(bytes !== undefined, `${target.kind}: no file after ${doneBytes} bytes`)
      assert.ok(bytes.subarray(0, offset + doneBytes).equals(whole.subarray(0, offset + doneBytes)))
    }
  }
})

test('a transfer that stopped anywhere goes on from its last checkpoint to the same bytes', async () => {
  for (let stopAfter = 2; stopAfter <= 10; stopAfter++) {
    const { storage, source, targets } = await simulated()
    for (const target of targets) {
      const controller = new AbortController()
      let saved = 0
      const save = async (doneBytes: number) => {
        saved = doneBytes
      }
      const onProgress = (doneBytes: number) => {
        if (doneBytes >= stopAfter * chunkBytes) controller.abort()
      }
      const stopping = options({ everyBytes: chunkBytes, save }, { signal: controller.signal, onProgress })
      await assert.rejects(transfer(source, target, stopping), { code: 'aborted' })
      assert.ok(saved > 0 && saved <= stopAfter * chunkBytes)
      const from = saved
      const resumed: number[] = []
      const going = options(
        { everyBytes: chunkBytes, save },
        { resumeAtBytes: from, onProgress: (doneBytes) => resumed.push(doneBytes) },
      )
      // It may go on in other steps than it began.
      await transfer(source, target, { ...going, lanes: { laneCount: 1, chunkBytes: 3 * 4096 } })
      assert.ok(resumed.every((doneBytes) => doneBytes > from))
      assert.equal(resumed.at(-1), sizeBytes)
      await verify(source, target, unhurried())
    }
    const files = storage.files()
    assert.deepEqual(files.get('/disk/target.raw'), files.get('/disk/source.raw'))
  }
})

test('a target that has less than it is said to have is not gone on with', async () => {
  const { source, targets, folder } = await simulated()
  for (const target of targets) {
    const going = { ...unhurried(), resumeAtBytes: 4 * chunkBytes }
    if (target.kind === 'plain') (await folder.createFile('target.raw'))[Symbol.asyncDispose]()
    await assert.rejects(transfer(source, target, going), { code: 'target-not-empty' })
  }
})

test('a checkpoint that cannot be kept ends the transfer with its error', async () => {
  const { storage, source, targets } = await simulated()
  const failing = async () => {
    throw new RangeError('of the caller')
  }
  await assert.rejects(transfer(source, targets[0], options({ everyBytes: chunkBytes, save: failing })), RangeError)
  let saved = 0
  const save = async (doneBytes: number) => {
    saved = doneBytes
  }
  storage.failNext('sync', { code: 'EIO' })
  await assert.rejects(transfer(source, targets[1], options({ everyBytes: chunkBytes, save })), { code: 'io' })
  assert.equal(saved, 0)
})

test('several threads that stopped go on to the same bytes', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 8 * 1_048_576 + 777)
  const lanes = { laneCount: 3, chunkBytes }
  const luks = await folder.luksImage('target.luks', source.sizeBytes)
  for (const target of [luks, folder.plain('target.raw', source.sizeBytes)]) {
    const { pace, ...rest } = unhurried()
    const controller = new AbortController()
    let saved = 0
    const save = async (doneBytes: number) => {
      saved = doneBytes
      pace.limit(null)
      controller.abort()
    }
    // Slow enough to be seen on its way.
    pace.limit(4 * 1_048_576)
    await assert.rejects(
      transfer(source, target, {
        ...{ ...rest, pace, lanes, signal: controller.signal },
        checkpoint: { everyBytes: chunkBytes, save },
      }),
      { code: 'aborted' },
    )
    assert.ok(saved > 0 && saved < source.sizeBytes)
    await transfer(source, target, { ...unhurried(), lanes, resumeAtBytes: saved })
    await verify(source, target, { ...unhurried(), lanes })
  }
  assert.ok(folder.bytes('target.raw').equals(folder.bytes('source.raw')))
})
