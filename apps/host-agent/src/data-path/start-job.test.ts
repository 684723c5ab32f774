import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Secret } from '@cryptvisor/secret'
import type { Image } from './image.ts'
import { LaneThreads } from './lane-threads.ts'
import type { OpenImage } from './open-image.ts'
import { startJob } from './start-job.ts'
import { ImageFolder, payloadOffsetBytes, unhurried } from './testing/images.ts'

const breakdowns: readonly (readonly [string, string, RegExp])[] = [
  ['ends without a word', 'process.exit(0)', /ended before its job/],
  ['exits with an error code', 'process.exit(3)', /ended before its job/],
  ['throws', "throw new Error('no')", /broke down/],
  ['rejects', "Promise.reject(new Error('no'))", /broke down/],
  ['is no program', 'this is not JavaScript', /broke down/],
]

/** A plain image of one page and a LUKS image for it, both open. */
async function openPair(context: TestContext) {
  const folder = await ImageFolder.open(context)
  const luks = await folder.luksImage('disk.luks', 4096)
  const open = async (image: Image): Promise<OpenImage> => {
    const file = await image.place.open('write')
    context.after(() => file[Symbol.asyncDispose]())
    return { image, file, directFile: null }
  }
  return { folder, luks, source: await open(folder.plainImage('source.raw', 4096)), target: await open(luks) }
}

for (const [name, script, message] of breakdowns) {
  test(`a worker that ${name} fails the job, and the volume key is wiped`, async (context) => {
    const { folder, luks, source, target } = await openPair(context)
    const path = folder.at('worker.mjs')
    // The channel lends the test the memory that holds the volume key.
    writeFileSync(
      path,
      `import { BroadcastChannel, workerData } from 'node:worker_threads'
       new BroadcastChannel('key-${folder.path}').postMessage(workerData.job.target.key)
       ${script}`,
    )
    const channel = new BroadcastChannel(`key-${folder.path}`)
    const lent = new Promise<SharedArrayBuffer | null>((resolve) => {
      channel.addEventListener('message', (event: MessageEvent<SharedArrayBuffer>) => resolve(event.data))
      if (script.startsWith('this')) resolve(null)
    })
    using threads = new LaneThreads(0, pathToFileURL(path))
    const running = startJob('copy', source, target, { ...unhurried(), threads })
    await assert.rejects(running, { name: 'DataPathError', code: 'worker-failed', message })
    const memory = await lent
    channel.close()
    if (memory !== null) assert.deepEqual(new Uint8Array(memory), new Uint8Array(64))
    assert.equal(luks.volumeKey.wiped, false)
  })
}

test('a key that is none for XTS breaks the job, not the agent', async (context) => {
  const { luks, source, target } = await openPair(context)
  using volumeKey = Secret.random(48)
  const badly: OpenImage = { ...target, image: { ...luks, volumeKey } }
  await assert.rejects(startJob('copy', source, badly, unhurried()), { code: 'worker-failed' })
})

test('threads that were begun before do the job, and those that are left over end', async (context) => {
  const { folder, source, target } = await openPair(context)
  {
    using threads = new LaneThreads(3)
    await startJob('copy', source, target, { ...unhurried(), threads, lanes: { laneCount: 2, chunkBytes: 4096 } })
    await startJob('compare', source, target, { ...unhurried(), threads, lanes: { laneCount: 2, chunkBytes: 4096 } })
  }
  assert.equal(folder.bytes('disk.luks').length, payloadOffsetBytes + 4096)
})

test('a thread that was begun before and broke down fails the job, or is not given it', async (context) => {
  const { folder, source, target } = await openPair(context)
  writeFileSync(folder.at('worker.mjs'), 'process.exit(3)')
  const script = pathToFileURL(folder.at('worker.mjs'))
  for (const isLate of [false, true]) {
    using threads = new LaneThreads(1, script)
    // By then it has ended, and a new one takes its place.
    if (isLate) await new Promise((resolve) => setTimeout(resolve, 300))
    await assert.rejects(startJob('copy', source, target, { ...unhurried(), threads }), {
      code: 'worker-failed',
      message: /ended before its job/,
    })
  }
})

test('spans go where they are told, and what is done counts in their order', async (context) => {
  const folder = await ImageFolder.open(context)
  const open = async (image: Image): Promise<OpenImage> => {
    const file = await image.place.open('write')
    context.after(() => file[Symbol.asyncDispose]())
    return { image, file, directFile: null }
  }
  const pages = 8
  const source = folder.plainImage('source.raw', pages * 4096)
  const target = folder.plainImage('target.raw', pages * 4096)
  const before = folder.bytes('target.raw')
  // The last page first, each to the place before it; the first page of the source goes nowhere.
  const spans = Array.from({ length: pages - 1 }, (_, index) => {
    const sourceOffset = (pages - 1 - index) * 4096
    return { sourceOffset, targetOffset: sourceOffset - 4096, sizeBytes: 4096 }
  })
  const saved: number[] = []
  await startJob('copy', await open(source), await open(target), {
    ...unhurried(),
    spans,
    lanes: { laneCount: 2, chunkBytes: 4096 },
    checkpoint: {
      everyBytes: 4096,
      save: async (doneBytes) => {
        saved.push(doneBytes)
      },
    },
  })
  assert.ok(
    folder
      .bytes('target.raw')
      .equals(Buffer.concat([folder.bytes('source.raw').subarray(4096), before.subarray(-4096)])),
  )
  assert.ok(saved.every((doneBytes) => doneBytes % 4096 === 0 && doneBytes <= (pages - 1) * 4096))
})
