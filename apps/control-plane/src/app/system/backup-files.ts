import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** What a scheduled backup is called; by name they sort by time. `id` is the installation's. */
export function backupFileName(id: string, at: number): string {
  return `${prefixOf(id)}${new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, '')}.backup`
}

/** Removes all of our backups in `folder` but the `keepCount` newest, and what a crash left half written. Nothing else. */
export async function removeOldBackups(folder: string, id: string, keepCount: number): Promise<void> {
  const pattern = new RegExp(`^${prefixOf(id)}\\d{8}T\\d{6}Z\\.backup(\\.part)?$`)
  const ours = (await readdir(folder)).filter((name) => pattern.test(name)).toSorted()
  const whole = ours.filter((name) => name.endsWith('.backup'))
  const left = new Set(whole.slice(Math.max(0, whole.length - keepCount)))
  for (const name of ours) if (!left.has(name)) await rm(join(folder, name), { force: true })
}

/** An installation's ID is a UUIDv7: its end is what is random. */
function prefixOf(id: string): string {
  return `cryptvisor-${id.slice(-12)}-`
}
