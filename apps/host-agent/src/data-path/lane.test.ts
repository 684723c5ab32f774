import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { DescriptorFile } from './block-file.ts'
import type { Job, JobSide } from './job.ts'
import { JobControl } from './job-control.ts'
import { Lane } from './lane.ts'
import { Pace } from './pace.ts'
import { dataRuns, type PayloadFiles } from './payload.ts'
import { ImageFolder } from './testing/images.ts'

const chunk = 1_048_576

/** A copy of a plain file of three chunks by one lane, with everything that a test may want to disturb. */
class CopyJob {
  readonly sourcePath: string
  readonly targetPath: string
  readonly control = JobControl.start(1, 0)
  job: Job
  source: number
  target: number

  private constructor(sourcePath: string, targetPath: string) {
    this.sourcePath = sourcePath
    this.targetPath = targetPath
    this.source = openSync(sourcePath, 'r')
    this.target = openSync(targetPath, 'wx+')
    const side = (path: string): JobSide => ({ path, offsetBytes: 0, key: null, unitSizeBytes: 512, skipsZeros: false })
    this.job = {
      task: 'copy',
      source: side(sourcePath),
      target: side(targetPath),
      sizeBytes: 3 * chunk,
      startBytes: 0,
      chunkBytes: chunk,
      spans: null,
      control: this.control.memory,
      pace: new Pace().memory,
    }
  }

  static async in(context: TestContext): Promise<CopyJob> {
    const folder = await ImageFolder.open(context)
    const copy = new CopyJob(folder.plainImage('source.raw', 3 * chunk).place.path, folder.at('target.raw'))
    context.after(() => {
      closeSync(copy.source)
      closeSync(copy.target)
    })
    return copy
  }

  lane(): Lane {
    const files = (descriptor: number): PayloadFiles => ({ buffered: new DescriptorFile(descriptor), direct: null })
    return new Lane(this.job, 0, files(this.source), files(this.target))
  }
}

function doNext(lane: Lane): void {
  const span = lane.take()
  assert.ok(span !== null)
  lane.do(span)
}

test('a source that ends early is told by its offset', async (context) => {
  const copy = await CopyJob.in(context)
  using lane = copy.lane()
  doNext(lane)
  truncateSync(copy.sourcePath, chunk + 1000)
  assert.throws(() => lane.run(), { code: 'truncated', message: new RegExp(`${chunk + 1000}`) })
})

test('a lane stops after the chunk in hand', async (context) => {
  const copy = await CopyJob.in(context)
  using lane = copy.lane()
  doNext(lane)
  doNext(lane)
  copy.control.stop()
  assert.throws(() => lane.run(), { code: 'aborted', message: new RegExp(`${2 * chunk} of ${3 * chunk}`) })
  assert.equal(statSync(copy.targetPath).size, 2 * chunk)
  assert.equal(copy.control.doneBytes, 2 * chunk)
  assert.equal(copy.control.lowestOpenChunk, 2)
})

test('an error of the file system names path, offset and error', async (context) => {
  const copy = await CopyJob.in(context)
  closeSync(copy.target)
  copy.target = openSync(copy.targetPath, 'r')
  using lane = copy.lane()
  assert.throws(() => lane.run(), { code: 'io', message: /cannot write .*target\.raw at 0: EBADF/ })
  assert.equal(copy.control.lowestOpenChunk, 0)
})

test('a full file system is told as no space', async (context) => {
  const copy = await CopyJob.in(context)
  closeSync(copy.target)
  copy.target = openSync('/dev/full', 'w')
  using lane = copy.lane()
  assert.throws(() => lane.run(), { code: 'no-space', message: /ENOSPC/ })
})

test('a lane needs the shared memory of a volume key no longer than it takes to make it', async (context) => {
  const copy = await CopyJob.in(context)
  using volumeKey = Secret.random(64)
  const key = new SharedArrayBuffer(64)
  volumeKey.expose((bytes) => new Uint8Array(key).set(bytes))
  copy.job = { ...copy.job, target: { ...copy.job.target, key } }
  using lane = copy.lane()
  new Uint8Array(key).fill(0)
  lane.run()
  const wiped = readFileSync(copy.targetPath)
  new Uint8Array(key).set(volumeKey.expose((bytes) => Uint8Array.from(bytes)))
  const again: Job = { ...copy.job, control: JobControl.start(1, 0).memory }
  copy.job = again
  using other = copy.lane()
  other.run()
  assert.ok(readFileSync(copy.targetPath).equals(wiped))
  assert.ok(!readFileSync(copy.sourcePath).equals(wiped))
})

test('the areas to write are joined, and end where data ends', () => {
  const bytes = Buffer.alloc(10 * 65_536 + 10)
  assert.deepEqual(dataRuns(bytes), [])
  bytes[65_536] = 1
  bytes[3 * 65_536 - 1] = 1
  bytes[5 * 65_536] = 1
  bytes[10 * 65_536 + 9] = 1
  assert.deepEqual(dataRuns(bytes), [
    [65_536, 3 * 65_536],
    [5 * 65_536, 6 * 65_536],
    [10 * 65_536, 10 * 65_536 + 10],
  ])
})
