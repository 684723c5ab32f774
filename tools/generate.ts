/** `node --run generate`: writes every file that is made from the sources; `--check` fails where one is not up to date. */
import { spawnSync } from 'node:child_process'

const generators = [
  'tools/cli-usage.ts',
  'apps/control-plane/src/openapi.ts',
  'apps/control-plane/src/events-page.ts',
  'apps/control-plane/src/privileges-page.ts',
]

let failed = false
for (const generator of generators) {
  const { status } = spawnSync(process.execPath, [generator, ...process.argv.slice(2)], { stdio: 'inherit' })
  failed ||= status !== 0
}
process.exitCode = failed ? 1 : 0
