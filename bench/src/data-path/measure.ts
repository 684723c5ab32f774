import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { environment } from '@cryptvisor/lab'
import type { Conversion, ConversionSide } from './conversion.ts'
import type { BenchImage } from './images.ts'

const script = fileURLToPath(new URL('./convert.ts', import.meta.url))

/** Something that is measured: gives the seconds that it took. */
export type Run = () => number

/** Runs all of `runs` in turn, round after round, so that what disturbs the machine disturbs all; gives each one's seconds. */
export function interleaved<Runs extends Readonly<Record<string, Run>>>(
  runs: Runs,
  roundCount: number,
): { [Name in keyof Runs]: number[] } {
  const names: (keyof Runs)[] = Object.keys(runs)
  // Each name gets its list here.
  const seconds = Object.fromEntries(names.map((name) => [name, []])) as unknown as { [Name in keyof Runs]: number[] }
  for (let round = 0; round < roundCount; round++) for (const name of names) seconds[name].push(runs[name]?.() ?? 0)
  return seconds
}

/** How our side of a measurement works. */
export interface OurSettings {
  readonly sizeBytes: number
  readonly lanes: number
  readonly direct?: boolean
  /** Where Node keeps compiled modules, as an installed program does. */
  readonly compileCache: string
}

/** What was measured best in memory and on a disk; from half to twice as much it makes little difference. */
const chunkBytes = { cached: 1_048_576, direct: 2_097_152 }

/** Seconds that our data path takes for a conversion, as a process of its own. */
export function convert(source: BenchImage, target: BenchImage, settings: OurSettings): number {
  const { sizeBytes, lanes, direct = false, compileCache } = settings
  const conversion: Conversion = {
    source: sideOf(source),
    target: sideOf(target),
    sizeBytes,
    lanes,
    chunkBytes: direct ? chunkBytes.direct : chunkBytes.cached,
    direct,
  }
  const keys = [source, target].flatMap(({ volumeKey }) => (volumeKey === null ? [] : [volumeKey]))
  const input = Buffer.concat(keys.map((key) => key.expose((bytes) => Uint8Array.from(bytes))))
  const env = { ...environment(), NODE_COMPILE_CACHE: compileCache }
  return run(process.execPath, [script, JSON.stringify(conversion)], { input, env })
}

function sideOf({ path, kind, offsetBytes }: BenchImage): ConversionSide {
  return { path, kind, offsetBytes }
}

/** Seconds that a program takes; throws when it fails. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly input?: Uint8Array; readonly env?: NodeJS.ProcessEnv } = {},
): number {
  const start = performance.now()
  const { status, stderr, error } = spawnSync(command, args, { env: environment(), encoding: 'utf8', ...options })
  const seconds = (performance.now() - start) / 1000
  if (status !== 0) throw new Error(`${command} failed: ${error?.message ?? stderr}`)
  return seconds
}
