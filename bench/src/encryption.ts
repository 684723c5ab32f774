import { spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment, type Lab } from '@cryptvisor/lab'
import { type Figures, median, rounded } from './figures.ts'
import { deleteVm, encryptVm, makeImage, makeVm } from './lab-disk.ts'

const diskMib = 512
const roundCount = 3
const convertTriesMax = 20

/**
 * Encrypting a disk of random bytes with the product (copy, sync, read back, compare, commit) against `qemu-img convert`
 * to LUKS (copy alone; it pays PBKDF2 for its own header), interleaved.
 */
export async function benchEncryption(lab: Lab): Promise<Figures> {
  const image = join(lab.places.folder, 'bench.img')
  makeImage(image, diskMib)
  await using session = await lab.logIn()
  const ours: number[] = []
  const theirs: number[] = []
  for (let round = 0; round < roundCount; round++) {
    const name = `bench-${round}`
    await makeVm(session.client, name, image, diskMib)
    ours.push(await encryptVm(session.client, name))
    await deleteVm(session.client, name)
    theirs.push(convertOnce(image, join(lab.places.folder, 'bench.luks')))
  }
  rmSync(image)
  return {
    'encrypt-mib-per-second': rounded(diskMib / median(ours)),
    'qemu-img-mib-per-second': rounded(diskMib / median(theirs)),
    'encrypt-of-qemu-img': rounded(median(theirs) / median(ours)),
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
