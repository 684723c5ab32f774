import { flag, list, number, type Of, oneOf, optional, structure, text } from '../shape.ts'
import type { Nothing } from './nothing.ts'

/** How far a job is. `ready`: a mirror's target holds all that was written; `pending`: it waits for `job-finalize`. */
export const jobStatus = oneOf(
  'undefined',
  'created',
  'running',
  'paused',
  'ready',
  'standby',
  'waiting',
  'pending',
  'aborting',
  'concluded',
  'null',
)
export type JobStatus = Of<typeof jobStatus>

export const job = structure({
  id: text,
  /** `mirror`, `backup`, `commit`, … */
  type: text,
  status: jobStatus,
  'current-progress': number,
  'total-progress': number,
  /** Why it failed; not there while nothing did. */
  error: optional(text),
})
export type Job = Of<typeof job>

/** A job of the block layer, told in bytes. */
export const blockJob = structure({
  type: text,
  device: text,
  len: number,
  offset: number,
  busy: flag,
  paused: flag,
  /** Bytes in a second; 0: as fast as it goes. */
  speed: number,
  'io-status': oneOf('ok', 'failed', 'nospace'),
  ready: flag,
  status: jobStatus,
  error: optional(text),
})
export type BlockJob = Of<typeof blockJob>

interface JobId {
  readonly id: string
}

interface JobOfDevice {
  readonly device: string
}

export interface JobCommands {
  'query-jobs'(): readonly Job[]
  'job-pause'(job: JobId): Nothing
  'job-resume'(job: JobId): Nothing
  'job-cancel'(job: JobId): Nothing
  'job-complete'(job: JobId): Nothing
  'job-finalize'(job: JobId): Nothing
  'job-dismiss'(job: JobId): Nothing
  'query-block-jobs'(): readonly BlockJob[]
  'block-job-set-speed'(job: JobOfDevice & { readonly speed: number }): Nothing
  /** Without `force` a mirror that is ready ends in step with its source, and is not switched. */
  'block-job-cancel'(job: JobOfDevice & { readonly force?: boolean }): Nothing
  'block-job-complete'(job: JobOfDevice): Nothing
  'block-job-pause'(job: JobOfDevice): Nothing
  'block-job-resume'(job: JobOfDevice): Nothing
  'block-job-finalize'(job: JobId): Nothing
  'block-job-dismiss'(job: JobId): Nothing
}

export const jobs = list(job)
export const blockJobs = list(blockJob)
