import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from '@cryptvisor/lab'
import { encryptVm, makeImage, makeVm } from '../lab-disk.ts'

const diskMib = 2048

/** Resident memory of the agent, its peak included, in MiB, after it imported and encrypted a disk of 2 GiB (proc(5), VmHWM). */
export async function agentMemoryMib(lab: Lab): Promise<number> {
  const image = join(lab.places.folder, 'memory.img')
  makeImage(image, diskMib)
  await using session = await lab.logIn()
  await makeVm(session.client, 'memory', image, diskMib)
  rmSync(image)
  await encryptVm(session.client, 'memory')
  const peaks = Object.values(lab.describe()?.pids.hosts ?? {}).flatMap((pid) => (pid === null ? [] : [peakMib(pid)]))
  if (peaks.length === 0) throw new Error('no agent runs in the lab')
  return Math.max(...peaks)
}

function peakMib(pid: number): number {
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (found?.[1] === undefined) throw new Error(`process ${pid} does not say how much memory it took`)
  return Number(found[1]) / 1024
}
