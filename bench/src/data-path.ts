import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Lab } from '@cryptvisor/lab'
import { drawChart } from './data-path/chart.ts'
import { engineRates } from './data-path/engine.ts'
import { BenchImages, mib } from './data-path/images.ts'
import { convert, interleaved, type OurSettings, type Run } from './data-path/measure.ts'
import { agentMemoryMib } from './data-path/memory.ts'
import { directCopy, qemuImg, reencrypt } from './data-path/peers.ts'
import { isReached, type Required, requiredFigures } from './data-path/required.ts'
import { unlockMs } from './data-path/unlock.ts'
import { verificationCost } from './data-path/verification.ts'
import { type Figures, median, resultsFolder, rounded } from './figures.ts'

const memoryFolder = '/dev/shm'
const engineRounds = 5
const tmpfsRounds = 7
const deviceRounds = 5
const verifyRounds = 3

const inPlace = 'encrypt in place, cryptsetup'

const say = (text: string) => process.stdout.write(`${text}\n`)

/**
 * How fast disks are encrypted, decrypted and re-keyed: whole processes against Debian's `qemu-img convert`, `cryptsetup
 * reencrypt` and plain copies, in tmpfs and on the disk; the engine against `openssl speed`. Says seconds as it goes.
 */
export async function benchDataPath(lab: () => Promise<Lab>): Promise<Figures> {
  const compileCache = mkdtempSync(join(tmpdir(), 'cryptvisor-bench-cache-'))
  try {
    const figures: Figures = {
      ...(await engineFigures()),
      ...(await inTmpfs(compileCache)),
      ...(await onDisk(compileCache)),
      'unlock-ms': rounded(await unlockMs(compileCache)),
      ...(await memoryFigure(lab)),
    }
    sayRequired(figures)
    drawChart(figures)
    return figures
  } finally {
    rmSync(compileCache, { recursive: true, force: true })
  }
}

function sayRequired(figures: Figures): void {
  for (const [name, required] of Object.entries<Required>(requiredFigures)) {
    const figure = figures[name]
    const reached = figure !== undefined && isReached(required, figure) ? 'reached' : 'MISSED '
    say(`  ${name.padEnd(12)} ${String(figure ?? '-').padStart(6)}  ${reached}  ${required.is} ${required.value}`)
    say(`               ${required.what}`)
  }
}

/** The only figure that needs services; where they do not start, the others are worth keeping. */
async function memoryFigure(lab: () => Promise<Lab>): Promise<Figures> {
  try {
    return { 'memory-mib': Math.round(await agentMemoryMib(await lab())) }
  } catch (error) {
    process.stderr.write(`bench: memory-mib: ${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
    return {}
  }
}

async function engineFigures() {
  const { one, two, node, openssl } = await engineRates(engineRounds)
  const inGb = (rate: number) => `${(rate / 1e9).toFixed(2)} GB/s`
  say(
    `engine: ${inGb(one)} in 1 thread, ${inGb(two)} in 2; Node’s own XTS ${inGb(node)}; openssl speed ${inGb(openssl)}`,
  )
  return {
    'engine-1': rounded(one / openssl),
    'engine-2': rounded(two / openssl),
    'engine-1-of-node': rounded(one / node),
  }
}

async function inTmpfs(compileCache: string) {
  using images = await BenchImages.make(memoryFolder)
  if (images === null) throw new Error(`${memoryFolder} has no room for four images of 256 MiB`)
  const { plain, plainTarget, luks, luksTarget, sizeBytes } = images
  say(`in tmpfs, images of ${sizeBytes / mib} MiB, seconds of whole processes, medians of ${tmpfsRounds} rounds:`)
  const ours = (lanes: number): OurSettings => ({ sizeBytes, lanes, compileCache })
  convert(plain, luks, { ...ours(2), sizeBytes: mib })
  const seconds = interleaved(
    {
      'encrypt, 1 thread': () => convert(plain, luks, ours(1)),
      'encrypt, 2 threads': () => convert(plain, luks, ours(2)),
      'encrypt, qemu-img': () => qemuImg(images, plain, luks),
      'decrypt, 1 thread': () => convert(luks, plainTarget, ours(1)),
      'decrypt, 2 threads': () => convert(luks, plainTarget, ours(2)),
      'decrypt, qemu-img': () => qemuImg(images, luks, plainTarget),
      'rekey, 2 threads': () => convert(luks, luksTarget, ours(2)),
      'rekey, qemu-img': () => qemuImg(images, luks, luksTarget),
      'copy, qemu-img': () => qemuImg(images, plain, plainTarget),
      ...(runsHere(() => reencrypt(images)) ? { [inPlace]: () => reencrypt(images) } : {}),
    },
    tmpfsRounds,
  )
  sayMedians(seconds)
  const inPlaceSeconds = seconds[inPlace]
  const cost = await verificationCost(images, verifyRounds)
  return {
    'verify-cost': rounded(cost),
    'encrypt-1': ratio(seconds['encrypt, qemu-img'], seconds['encrypt, 1 thread']),
    'encrypt-2': ratio(seconds['encrypt, qemu-img'], seconds['encrypt, 2 threads']),
    'decrypt-1': ratio(seconds['decrypt, qemu-img'], seconds['decrypt, 1 thread']),
    'decrypt-2': ratio(seconds['decrypt, qemu-img'], seconds['decrypt, 2 threads']),
    'rekey-2': ratio(seconds['rekey, qemu-img'], seconds['rekey, 2 threads']),
    'copy-2': ratio(seconds['copy, qemu-img'], seconds['encrypt, 2 threads']),
    ...(inPlaceSeconds === undefined ? {} : { 'reencrypt-2': ratio(inPlaceSeconds, seconds['encrypt, 2 threads']) }),
  }
}

/** Whether a peer that nothing depends on works on this machine. */
function runsHere(run: Run): boolean {
  try {
    run()
    return true
  } catch (error) {
    say(`  left out: ${error instanceof Error ? error.message.trim() : error}`)
    return false
  }
}

async function onDisk(compileCache: string) {
  using images = await BenchImages.make(resultsFolder())
  if (images === null) throw new Error(`${resultsFolder()} has no room for four images of 256 MiB`)
  const { plain, plainTarget, luks, luksTarget, sizeBytes } = images
  say(`on the disk past the page cache, images of ${sizeBytes / mib} MiB, medians of ${deviceRounds} rounds:`)
  const ours = (lanes: number): OurSettings => ({ sizeBytes, lanes, compileCache, direct: true })
  const seconds = interleaved(
    {
      'plain copy, dd': () => directCopy(plain, plainTarget),
      'encrypt, 2 threads': () => convert(plain, luks, ours(2)),
      'encrypt, 1 thread': () => convert(plain, luks, ours(1)),
      'encrypt, qemu-img': () => qemuImg(images, plain, luks, true),
      'decrypt, 2 threads': () => convert(luks, plainTarget, ours(2)),
      'rekey, 2 threads': () => convert(luks, luksTarget, ours(2)),
    },
    deviceRounds,
  )
  sayMedians(seconds)
  const cost = await verificationCost(images, verifyRounds)
  return {
    'device-2': ratio(seconds['plain copy, dd'], seconds['encrypt, 2 threads']),
    'device-decrypt-2': ratio(seconds['plain copy, dd'], seconds['decrypt, 2 threads']),
    'device-rekey-2': ratio(seconds['plain copy, dd'], seconds['rekey, 2 threads']),
    'verify-cost-on-disk': rounded(cost),
  }
}

function sayMedians(seconds: Readonly<Record<string, readonly number[]>>): void {
  for (const [name, times] of Object.entries(seconds)) say(`  ${name.padEnd(30)} ${median(times).toFixed(3)} s`)
}

/** The median over all rounds of how many times as fast ours was. */
function ratio(theirs: readonly number[], ours: readonly number[]): number {
  return rounded(median(theirs.map((seconds, round) => seconds / (ours[round] ?? Number.NaN))))
}
