/** `./run bench [encryption] [kmip]`: figures as ratios against a peer in one run, kept in `bench/results/`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Lab } from '@cryptvisor/lab'
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
const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-bench-'))
const lab = new Lab(folder)
try {
  await lab.up()
  for (const [name, bench] of Object.entries(benches)) {
    if (names.length > 0 && !names.includes(name)) continue
    const figures = await bench(lab)
    writeFigures(name, figures)
    process.stdout.write(`${name}\n`)
    for (const [figure, value] of Object.entries(figures)) process.stdout.write(`  ${figure.padEnd(28)} ${value}\n`)
  }
} finally {
  await lab.down()
  rmSync(folder, { recursive: true, force: true })
}
