import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { environment } from '@cryptvisor/lab'
import { median } from '../figures.ts'
import type { EngineWork } from './engine-thread.ts'

const script = new URL('./engine-thread.ts', import.meta.url)

const seconds = 1

/** Bytes a second. */
export interface EngineRates {
  readonly one: number
  readonly two: number
  /** XTS of Node's own OpenSSL, a unit of 16 KiB at a time, in this process. */
  readonly node: number
  readonly openssl: number
}

/** The engine in one and two threads, Node's XTS in one, and `openssl speed` of the system, interleaved; medians. */
export async function engineRates(roundCount: number): Promise<EngineRates> {
  const rates = { one: [] as number[], two: [] as number[], node: [] as number[], openssl: [] as number[] }
  for (let round = 0; round < roundCount; round++) {
    rates.one.push(await rateOf(1, 'ours'))
    rates.openssl.push(opensslSpeed())
    rates.two.push(await rateOf(2, 'ours'))
    rates.node.push(await rateOf(1, 'node'))
  }
  const { one, two, node, openssl } = rates
  return { one: median(one), two: median(two), node: median(node), openssl: median(openssl) }
}

/** All threads begin together, when all have warmed up. */
async function rateOf(threadCount: number, what: EngineWork['what']): Promise<number> {
  const go = new SharedArrayBuffer(4)
  const work: EngineWork = { go, seconds, what }
  const threads = Array.from({ length: threadCount }, () => new Worker(script, { workerData: work }))
  const ends = threads.map((thread) => once(thread, 'exit'))
  await Promise.all(threads.map((thread) => once(thread, 'message')))
  const rates = threads.map((thread) => once(thread, 'message'))
  Atomics.store(new Int32Array(go), 0, 1)
  Atomics.notify(new Int32Array(go), 0)
  const sum = (await Promise.all(rates)).reduce((total, [rate]) => total + Number(rate), 0)
  await Promise.all(ends)
  return sum
}

/** By the wall clock, as ours. Its output ends with thousands of bytes a second: `AES-256-XTS 8512345.67k`. */
function opensslSpeed(): number {
  const args = ['speed', '-elapsed', '-seconds', String(seconds), '-bytes', '16384', '-evp', 'aes-256-xts']
  const { stdout, error } = spawnSync('openssl', args, { env: environment(), encoding: 'utf8' })
  const found = /^AES-256-XTS\s+([\d.]+)k\s*$/im.exec(stdout ?? '')
  if (found?.[1] === undefined) throw new Error(`openssl speed gave no figure: ${error?.message ?? stdout}`)
  return Number(found[1]) * 1000
}
