/** Writes docs/cli.md from the command line's own definitions; `--check` fails when the file is not what it would write. */
import { readFileSync, writeFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Interrupt } from '../apps/cli/src/interrupt.ts'
import { buildProgram } from '../apps/cli/src/program.ts'
import { usageMarkdown } from '../apps/cli/src/usage-markdown.ts'

const path = fileURLToPath(new URL('../docs/cli.md', import.meta.url))

/** A world in which nothing is run: the program is only asked for its help. */
const nowhere = {
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  environment: {},
  homeFolder: '/',
  interrupt: new Interrupt(() => {}),
  now: () => 0,
  pollPace: { firstMs: 0, lastMs: 0 },
}

const text = usageMarkdown(buildProgram(nowhere))
if (process.argv.includes('--check')) {
  let found = ''
  try {
    found = readFileSync(path, 'utf8')
  } catch {
    // A file that is not there is not up to date either.
  }
  if (found !== text) {
    process.stderr.write('docs/cli.md is not what the command line says; run: node tools/cli-usage.ts\n')
    process.exitCode = 1
  }
} else {
  writeFileSync(path, text)
}
