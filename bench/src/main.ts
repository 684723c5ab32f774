/** `./run bench [encryption] [kmip]`: figures as ratios against a peer in one run, kept in `bench/results/`. */
import { type Lab, TemporaryLab } from '@cryptvisor/lab'
import { benchEncryption } from './encryption.ts'
import { type Figures, writeFigures } from './figures.ts'
import { benchKmip } from './kmip.ts'

const benches: Readonly<Record<string, (lab: Lab) => Promise<Figures>>> = {
  encryption: benchEncryption,
  kmip: benchKmip,
}

const names = process.argv.slice(2)
const unknown = names.find((name) => !Object.hasOwn(benches, name))
if (unknown !== undefined) {
  process.stderr.write(`bench: ${unknown}: expected ${Object.keys(benches).join(' or ')}\n`)
  process.exit(2)
}
await using lab = new TemporaryLab('bench')
await lab.up()
for (const [name, bench] of Object.entries(benches)) {
  if (names.length > 0 && !names.includes(name)) continue
  const figures = await bench(lab)
  writeFigures(name, figures)
  process.stdout.write(`${name}\n`)
  for (const [figure, value] of Object.entries(figures)) process.stdout.write(`  ${figure.padEnd(28)} ${value}\n`)
}
