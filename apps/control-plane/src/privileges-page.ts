/**
 * Writes docs/privileges.md, the table of operations, privileges and objects, from docs/openapi.json, which the routes’ own
 * declarations make; `--check` fails when the file is not what it would write. Run it after `openapi.ts`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { privilegeMeanings, privileges, systemRoles } from '@cryptvisor/control-plane-api'

interface Operation {
  readonly summary: string
  readonly security?: readonly unknown[]
  readonly 'x-privileges'?: readonly string[]
  readonly 'x-object'?: string
  readonly 'x-also'?: readonly { readonly when: string; readonly on: string; readonly privileges: readonly string[] }[]
}

interface Row {
  readonly route: string
  readonly summary: string
  readonly privileges: readonly string[]
  readonly text: string
}

const fileUrl = (path: string) => fileURLToPath(new URL(`../../../docs/${path}`, import.meta.url))
const path = fileUrl('privileges.md')
// Written by `openapi.ts` from our own routes.
const document = JSON.parse(readFileSync(fileUrl('openapi.json'), 'utf8')) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const code = (text: string) => `\`${text}\``

const rows = Object.entries(document.paths).flatMap(([url, operations]) =>
  Object.entries(operations).map(([verb, operation]): Row => {
    const { summary, 'x-privileges': needed = [], 'x-object': object = '', 'x-also': also = [] } = operation
    const always = needed.map((privilege) => `${code(privilege)} on ${object}`)
    const sometimes = also.map((rule) => {
      const names = rule.privileges.map(code).join(', ')
      return rule.when === 'always' ? `${names} on ${rule.on}` : `${names} on ${rule.on} when ${rule.when}`
    })
    const nothing = operation.security?.length === 0 ? 'nothing' : 'a login'
    return {
      route: `${verb.toUpperCase()} ${url.replace('/api/v1', '')}`,
      summary,
      privileges: [...needed, ...also.flatMap((rule) => rule.privileges)],
      text: [...(needed.length === 0 ? [nothing] : always), ...sometimes].join('<br>'),
    }
  }),
)

const operationTable = rows.map(({ route, summary, text }) => `| ${summary} | ${code(route)} | ${text} |\n`).join('')

const roleNames = Object.keys(systemRoles).filter((name) => name !== 'NoAccess')
const privilegeTable = privileges
  .map((privilege) => {
    const uses = rows.filter((row) => row.privileges.includes(privilege)).length
    const held = roleNames.map((name) => (systemRoles[name]?.includes(privilege) === true ? 'yes' : '–'))
    return `| ${code(privilege)} | ${privilegeMeanings[privilege]} | ${uses} | ${held.join(' | ')} |\n`
  })
  .join('')

const text = `# Privileges

Generated from the routes of the API and the rules of the business code (\`node --run generate\`); do not edit.
How permissions work: [access.md](access.md). Every row is tried, with each privilege missing, with exactly what it names, and on an
object without permission beside one with it: \`apps/control-plane/src/http/every-route.test.ts\`, \`every-object.test.ts\`, \`content-rules.test.ts\`.

## Operations

«On the root» is what concerns the whole installation. «On each that is listed»: the privilege is needed on anything at all, and the answer
has what one has it on. An object on which one lacks \`System.Read\` is as if it were not there. Paths begin with \`/api/v1\`.

| operation | route | needs |
| --- | --- | --- |
${operationTable}
## Privileges

Under vSphere's identifiers. A name that is not here is refused when a role is made. «Operations»: how many of those above ask for it; 0: it
is for something that this version does not do yet. \`NoAccess\` has none.

| privilege | its holder may | operations | ${roleNames.join(' | ')} |
| --- | --- | ---: | ${roleNames.map(() => '---').join(' | ')} |
${privilegeTable}`

if (!process.argv.includes('--check')) {
  writeFileSync(path, text)
} else if (currentText() !== text) {
  process.stderr.write(
    'docs/privileges.md is not what the routes say; run: node apps/control-plane/src/privileges-page.ts\n',
  )
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
