import type { createDecryptor } from '@cryptvisor/luks'
import type { Job } from './job.ts'

/** Makes what decrypts the data units of foreign volumes. */
export type MakeDecryptor = typeof createDecryptor

/** Loads that for a job that reads a foreign volume; `null` for any other: loading it takes longer than starting a thread. */
export async function decryptorsFor({ source, target }: Job): Promise<MakeDecryptor | null> {
  if (source.foreign === undefined && target.foreign === undefined) return null
  const { createDecryptor } = await import('@cryptvisor/luks')
  return createDecryptor
}
