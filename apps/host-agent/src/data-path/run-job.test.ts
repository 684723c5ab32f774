import assert from 'node:assert/strict'
import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { temporaryFolder } from '@cryptvisor/testkit'
import type { Job, JobFile } from './job.ts'
import { dataRuns } from './payload.ts'
import { runJob } from './run-job.ts'
import { plainImage } from './testing/images.ts'

const chunk = 1_048_576

/** A copy of a plain file of three chunks, with everything that a test may want to disturb. */
function copyJob(folder: string): { readonly job: Job; readonly sourcePath: string; readonly targetPath: string } {
  const source = plainImage(folder, 'source.raw', 3 * chunk)
  const targetPath = join(folder, 'target.raw')
  const file = (path: string, flags: string): JobFile => ({
    fd: openSync(path, flags),
    path,
    offsetBytes: 0,
    key: null,
    direct: false,
  })
  const job: Job = {
    task: 'copy',
    source: file(source.path, 'r'),
    target: file(targetPath, 'wx+'),
    sizeBytes: source.sizeBytes,
    stop: new SharedArrayBuffer(4),
  }
  return { job, sourcePath: source.path, targetPath }
}

function close({ source, target }: Job): void {
  closeSync(source.fd)
  closeSync(target.fd)
}

test('a source that ends early is told by its offset', (context) => {
  const { job, sourcePath } = copyJob(temporaryFolder(context))
  const report = (doneBytes: number) => {
    if (doneBytes === chunk) truncateSync(sourcePath, chunk + 1000)
  }
  assert.throws(() => runJob(job, report), { code: 'truncated', message: new RegExp(`${chunk + 1000}`) })
  close(job)
})

test('the job stops after the chunk in hand', (context) => {
  const { job, targetPath } = copyJob(temporaryFolder(context))
  const seen: number[] = []
  const report = (doneBytes: number) => {
    seen.push(doneBytes)
    if (doneBytes === 2 * chunk) Atomics.store(new Int32Array(job.stop), 0, 1)
  }
  assert.throws(() => runJob(job, report), { code: 'aborted' })
  assert.deepEqual(seen, [chunk, 2 * chunk])
  assert.equal(statSync(targetPath).size, 2 * chunk)
  close(job)
})

test('an error of the file system names path, offset and error', (context) => {
  const { job } = copyJob(temporaryFolder(context))
  closeSync(job.target.fd)
  assert.throws(() => runJob(job, () => {}), { code: 'io', message: /cannot write .*target\.raw at 0: EBADF/ })
  closeSync(job.source.fd)
})

test('a full file system is told as no space', (context) => {
  const { job } = copyJob(temporaryFolder(context))
  const full: Job = { ...job, target: { ...job.target, fd: openSync('/dev/full', 'w'), path: '/dev/full' } }
  assert.throws(() => runJob(full, () => {}), { code: 'no-space', message: /ENOSPC/ })
  closeSync(full.target.fd)
  close(job)
})

test('the shared memory of a volume key is wiped as soon as the worker has it', (context) => {
  const { job, targetPath } = copyJob(temporaryFolder(context))
  using volumeKey = Secret.random(64)
  const key = new SharedArrayBuffer(64)
  volumeKey.expose((bytes) => new Uint8Array(key).set(bytes))
  let wipedAtBytes = -1
  runJob({ ...job, target: { ...job.target, key } }, (doneBytes) => {
    if (wipedAtBytes < 0 && new Uint8Array(key).every((byte) => byte === 0)) wipedAtBytes = doneBytes
  })
  assert.equal(wipedAtBytes, chunk)
  assert.ok(!readFileSync(targetPath).equals(readFileSync(job.source.path)))
  close(job)
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
