import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Whether `command` is among this machine’s programs. */
export function isInstalled(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
