/** `./run bench [data-path] [encryption] [kmip]`: figures as ratios against a peer in one run, kept in `bench/results/`. */
import { type Lab, TemporaryLab } from '@cryptvisor/lab'
import { benchDataPath } from './data-path.ts'
import { benchEncryption } from './encryption.ts'
import { type Figures, writeFigures } from './figures.ts'
import { benchKmip } from './kmip.ts'

/** A lab is started by the first who asks for it. */
const benches: Readonly<Record<string, (lab: () => Promise<Lab>) => Promise<Figures>>> = {
  'data-path': benchDataPath,
  encryption: async (lab) => benchEncryption(await lab()),
  kmip: async (lab) => benchKmip(await lab()),
}

const names = process.argv.slice(2)
const unknown = names.find((name) => !Object.hasOwn(benches, name))
if (unknown !== undefined) {
  process.stderr.write(`bench: ${unknown}: expected ${Object.keys(benches).join(' or ')}\n`)
  process.exit(2)
}
await using stack = new AsyncDisposableStack()
let lab: Promise<Lab> | null = null
const startedLab = async () => {
  const started = stack.use(new TemporaryLab('bench'))
  await started.up()
  return started
}
for (const [name, bench] of Object.entries(benches)) {
  if (names.length > 0 && !names.includes(name)) continue
  const figures = await bench(() => (lab ??= startedLab()))
  writeFigures(name, figures)
  process.stdout.write(`${name}\n`)
  for (const [figure, value] of Object.entries(figures)) process.stdout.write(`  ${figure.padEnd(28)} ${value}\n`)
}
