import { randomFillSync } from 'node:crypto'
import { closeSync, createReadStream, fsyncSync, openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'

const mib = 1_048_576
const pollMs = 20

/** Makes a file of random bytes, on disk. */
export function makeImage(path: string, sizeMib: number): void {
  const file = openSync(path, 'wx', 0o600)
  const chunk = Buffer.alloc(mib)
  for (let index = 0; index < sizeMib; index++) writeSync(file, randomFillSync(chunk))
  fsyncSync(file)
  closeSync(file)
}

/** Makes a plain VM with one disk that holds `image`. */
export async function makeVm(client: ControlPlaneClient, name: string, image: string, sizeMib: number): Promise<void> {
  await taskEnd(client, (await client.createVm({ name })).task.id)
  const contentBytes = sizeMib * mib
  const { task } = await client.importDisk(name, { format: 'raw', contentBytes })
  await client.sendContent(task.id, createReadStream(image), contentBytes)
  await taskEnd(client, task.id)
}

/** Encrypts a VM; gives the seconds from asking for it to the end of its task. */
export async function encryptVm(client: ControlPlaneClient, name: string): Promise<number> {
  const start = performance.now()
  const { task } = await client.changePolicy(name, { policy: 'VM Encryption Policy' })
  await taskEnd(client, task.id)
  return (performance.now() - start) / 1000
}

/** Deletes a VM with its disks. */
export async function deleteVm(client: ControlPlaneClient, name: string): Promise<void> {
  await taskEnd(client, (await client.deleteVm(name)).task.id)
}

async function taskEnd(client: ControlPlaneClient, id: string): Promise<void> {
  for (;;) {
    const { state, error } = await client.task(id)
    if (state === 'success') return
    if (state === 'error' || state === 'cancelled') throw new Error(error?.message ?? `the task was ${state}`)
    await sleep(pollMs)
  }
}
