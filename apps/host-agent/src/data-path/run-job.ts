import { DataPathError } from './data-path-error.ts'
import type { Job } from './job.ts'
import { chunkSizeBytes, Payload } from './payload.ts'
import { pageAlignedBuffer } from './read-back.ts'

/**
 * Does a job, blocking: copies the source's image into the target, or compares both. `report` is called after each chunk.
 * Throws a DataPathError: `mismatch` names the first offset at which the images differ, `aborted` when `stop` was set.
 */
export function runJob(job: Job, report: (doneBytes: number) => void): void {
  const stop = new Int32Array(job.stop)
  using source = new Payload(job.source)
  using target = new Payload(job.target)
  const step = job.task === 'copy' ? copyStep(source, target) : compareStep(source, target, job.target.path)
  for (let offset = 0; offset < job.sizeBytes; offset += chunkSizeBytes) {
    if (Atomics.load(stop, 0) !== 0)
      throw new DataPathError('aborted', `stopped at ${offset} of ${job.sizeBytes} bytes`)
    const sizeBytes = Math.min(chunkSizeBytes, job.sizeBytes - offset)
    step(offset, sizeBytes)
    report(offset + sizeBytes)
  }
}

type Step = (offset: number, sizeBytes: number) => void

function copyStep(source: Payload, target: Payload): Step {
  const buffer = pageAlignedBuffer(chunkSizeBytes)
  return (offset, sizeBytes) => {
    source.read(buffer, offset, sizeBytes)
    target.write(buffer, offset, sizeBytes)
  }
}

function compareStep(source: Payload, target: Payload, targetPath: string): Step {
  const expected = pageAlignedBuffer(chunkSizeBytes)
  const found = pageAlignedBuffer(chunkSizeBytes)
  return (offset, sizeBytes) => {
    source.read(expected, offset, sizeBytes)
    target.read(found, offset, sizeBytes)
    const [one, other] = [expected.subarray(0, sizeBytes), found.subarray(0, sizeBytes)]
    if (one.equals(other)) return
    const at = one.findIndex((byte, index) => byte !== other[index])
    throw new DataPathError('mismatch', `${targetPath} differs from its source at offset ${offset + at} of the image`)
  }
}
