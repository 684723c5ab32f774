import { DescriptorFile } from './block-file.ts'
import type { JobDescriptors } from './job.ts'
import type { PayloadFiles } from './payload.ts'
import { zeroBytes } from './zero-file.ts'

/** The files of one side of a job, for a lane in a worker thread. */
export function filesOfDescriptors(descriptors: JobDescriptors): PayloadFiles {
  if (descriptors === 'zeros') return { buffered: zeroBytes, direct: null }
  const { buffered, direct } = descriptors
  return { buffered: new DescriptorFile(buffered), direct: direct === null ? null : new DescriptorFile(direct) }
}
