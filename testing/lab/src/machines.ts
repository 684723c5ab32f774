import { readdirSync, readlinkSync } from 'node:fs'
import { sep } from 'node:path'

/** Ends, as a power cut does, the VMs that run in a lab's hosts; their QEMUs outlive the agents. Each works in a folder below that of its host. */
export function endMachinesBelow(folder: string): void {
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name) && workingFolderOf(name)?.startsWith(folder + sep) === true) end(Number(name))
  }
}

/** `null`: the process went away, or is not ours to look at. */
function workingFolderOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return null
  }
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It went by itself.
  }
}
