import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Secret } from '@cryptvisor/secret'
import { temporaryFolder } from '@cryptvisor/testkit'
import { startJob } from './start-job.ts'
import { newLuksImage, plainImage } from './testing/images.ts'

const breakdowns: readonly (readonly [string, string, RegExp])[] = [
  ['ends without a word', 'process.exit(0)', /ended before its job/],
  ['exits with an error code', 'process.exit(3)', /ended before its job/],
  ['throws', "throw new Error('no')", /broke down/],
  ['rejects', "Promise.reject(new Error('no'))", /broke down/],
  ['is no program', 'this is not JavaScript', /broke down/],
]

for (const [name, script, message] of breakdowns) {
  test(`a worker that ${name} fails the job, and the volume key is wiped`, async (context) => {
    const folder = temporaryFolder(context)
    const source = plainImage(folder, 'source.raw', 4096)
    const luks = await newLuksImage(folder, 'disk.luks', 4096)
    const path = join(folder, 'worker.mjs')
    // The channel lends the test the memory that holds the volume key.
    writeFileSync(
      path,
      `import { BroadcastChannel, workerData } from 'node:worker_threads'
       new BroadcastChannel('key-${folder}').postMessage(workerData.target.key)
       ${script}`,
    )
    const channel = new BroadcastChannel(`key-${folder}`)
    const lent = new Promise<SharedArrayBuffer | null>((resolve) => {
      channel.addEventListener('message', (event: MessageEvent<SharedArrayBuffer>) => resolve(event.data))
      if (script.startsWith('this')) resolve(null)
    })
    await using sourceFile = await open(source.path)
    await using targetFile = await open(luks.path, 'r+')
    const running = startJob(
      'copy',
      { image: source, handle: sourceFile },
      { image: luks, handle: targetFile },
      { signal: new AbortController().signal, onProgress: () => {} },
      pathToFileURL(path),
    )
    await assert.rejects(running, { name: 'DataPathError', code: 'worker-failed', message })
    const memory = await lent
    channel.close()
    if (memory !== null) assert.deepEqual(new Uint8Array(memory), new Uint8Array(64))
    assert.equal(luks.volumeKey.wiped, false)
  })
}

test('a key that is none for XTS breaks the job, not the agent', async (context) => {
  const folder = temporaryFolder(context)
  const source = plainImage(folder, 'source.raw', 4096)
  const luks = await newLuksImage(folder, 'disk.luks', 4096)
  using volumeKey = Secret.random(48)
  await using sourceFile = await open(source.path)
  await using targetFile = await open(luks.path, 'r+')
  const options = { signal: new AbortController().signal, onProgress: () => {} }
  const target = { image: { ...luks, volumeKey }, handle: targetFile }
  await assert.rejects(startJob('copy', { image: source, handle: sourceFile }, target, options), {
    code: 'worker-failed',
  })
})
