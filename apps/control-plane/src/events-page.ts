/**
 * Writes docs/events.md, the table of all events with vSphere's identifiers, from `eventTypes`; `--check` fails when the
 * file is not what it would write.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { eventTypes } from '@cryptvisor/control-plane-api'

const path = fileURLToPath(new URL('../../../docs/events.md', import.meta.url))

const head = `# Events

Generated from the sources (\`node --run generate\`); do not edit.

Everything that happens makes an event: what, to which host, VM, key provider and key, by whom, in which task, and what to do about it.
\`cryptvisor event list\` shows them, \`event list --follow\` as they happen, \`event types\` this table. Types are ours and stay as they are;
whoever comes from vSphere finds the identifier of the same event beside it: an \`eventTypeId\` of an \`EventEx\`, or the class of an older event.
«–» means that vSphere has none. How long events are kept, which alarms they raise and how they are sent on: [trouble.md](trouble.md).

`

const rows = Object.entries(eventTypes)
  .toSorted(([one], [other]) => (one < other ? -1 : 1))
  .map(
    ([type, [severity, text, vsphereId]]) =>
      `| \`${type}\` | ${severity} | ${text} | ${vsphereId === null ? '–' : `\`${vsphereId}\``} |\n`,
  )
const text = `${head}| type | severity | what happened | in vSphere |\n| --- | --- | --- | --- |\n${rows.join('')}`

if (!process.argv.includes('--check')) {
  writeFileSync(path, text)
} else if (currentText() !== text) {
  process.stderr.write('docs/events.md is not what the sources say; run: node apps/control-plane/src/events-page.ts\n')
  process.exitCode = 1
}

/** A file that is not there is not up to date either. */
function currentText(): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
