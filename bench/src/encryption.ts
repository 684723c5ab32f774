import { spawnSync } from 'node:child_process'
import { randomFillSync } from 'node:crypto'
import { closeSync, createReadStream, fsyncSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { environment, type Lab } from '@cryptvisor/lab'
import { type Figures, median, rounded } from './figures.ts'

const mib = 1_048_576
const diskMib = 512
const roundCount = 3
const pollMs = 20
const convertTriesMax = 20

/**
 * Encrypting a disk of random bytes with the product (copy, sync, read back, compare, commit) against `qemu-img convert`
 * to LUKS (copy alone; it pays PBKDF2 for its own header), interleaved.
 */
export async function benchEncryption(lab: Lab): Promise<Figures> {
  const image = join(lab.places.folder, 'bench.img')
  makeImage(image)
  await using session = await lab.logIn()
  const ours: number[] = []
  const theirs: number[] = []
  for (let round = 0; round < roundCount; round++) {
    ours.push(await encryptOnce(session.client, image, `bench-${round}`))
    theirs.push(convertOnce(image, join(lab.places.folder, 'bench.luks')))
  }
  rmSync(image)
  return {
    'encrypt-mib-per-second': rounded(diskMib / median(ours)),
    'qemu-img-mib-per-second': rounded(diskMib / median(theirs)),
    'encrypt-of-qemu-img': rounded(median(theirs) / median(ours)),
  }
}

function makeImage(path: string): void {
  const file = openSync(path, 'wx', 0o600)
  const chunk = Buffer.alloc(mib)
  for (let index = 0; index < diskMib; index++) writeSync(file, randomFillSync(chunk))
  fsyncSync(file)
  closeSync(file)
}

/** Seconds from asking for the encryption to the end of its task. */
async function encryptOnce(client: ControlPlaneClient, image: string, name: string): Promise<number> {
  await taskEnd(client, (await client.createVm({ name })).task.id)
  const contentBytes = diskMib * mib
  const { task: importing } = await client.importDisk(name, { format: 'raw', contentBytes })
  await client.sendContent(importing.id, createReadStream(image), contentBytes)
  await taskEnd(client, importing.id)
  const start = performance.now()
  const { task } = await client.changePolicy(name, { policy: 'VM Encryption Policy' })
  await taskEnd(client, task.id)
  const seconds = (performance.now() - start) / 1000
  await taskEnd(client, (await client.deleteVm(name)).task.id)
  return seconds
}

async function taskEnd(client: ControlPlaneClient, id: string): Promise<void> {
  for (;;) {
    const { state, error } = await client.task(id)
    if (state === 'success') return
    if (state === 'error' || state === 'cancelled') throw new Error(error?.message ?? `the task was ${state}`)
    await sleep(pollMs)
  }
}

/** Seconds that `qemu-img convert` takes to make an encrypted copy, synced. */
function convertOnce(image: string, target: string): number {
  // Protects nothing but random bytes.
  const passphrase = `${target}.passphrase`
  writeFileSync(passphrase, 'a passphrase for measuring')
  for (let tries = 0; tries < convertTriesMax; tries++) {
    rmSync(target, { force: true })
    const secret = ['--object', `secret,id=key,file=${passphrase}`]
    const start = performance.now()
    const { status, stderr } = spawnSync(
      'qemu-img',
      ['convert', ...secret, '-f', 'raw', '-O', 'luks', '-o', 'key-secret=key,iter-time=10', image, target],
      { encoding: 'utf8', env: environment() },
    )
    // QEMU 7.2's formatter fails at random: it times PBKDF2 with a coarse clock.
    if (status !== 0 && stderr.includes('CPU usage')) continue
    if (status !== 0) throw new Error(`qemu-img convert failed: ${stderr}`)
    const file = openSync(target, 'r')
    fsyncSync(file)
    closeSync(file)
    const seconds = (performance.now() - start) / 1000
    rmSync(target)
    return seconds
  }
  throw new Error(`qemu-img convert failed ${convertTriesMax} times`)
}
