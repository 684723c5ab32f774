import type { createDecryptor } from '@cryptvisor/luks'
import type { DataClusters, ThinImage } from '@cryptvisor/qcow2'
import type { Job } from './job.ts'

/** What only some jobs need; the others begin sooner without it. */
export interface LaneParts {
  /** For jobs that read the volume of somebody else. */
  readonly createDecryptor?: typeof createDecryptor
  /** For jobs with a thin image, and for scans. */
  readonly qcow2?: { readonly DataClusters: typeof DataClusters; readonly ThinImage: typeof ThinImage }
}

/** Loads what the lanes of a job need. */
export async function partsFor({ source, target, data }: Job): Promise<LaneParts> {
  const readsForeign = source.foreign !== undefined || target.foreign !== undefined
  const isThin = source.thin !== undefined || target.thin !== undefined || data !== undefined
  return {
    ...(readsForeign ? { createDecryptor: (await import('@cryptvisor/luks')).createDecryptor } : {}),
    ...(isThin ? { qcow2: await import('@cryptvisor/qcow2') } : {}),
  }
}
