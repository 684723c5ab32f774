import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const pathOf = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

test('every command that a text tells a user to run is one of the CLI', async () => {
  const commands = new Set(
    Array.from(
      readFileSync(pathOf('../../../../docs/cli.md'), 'utf8').matchAll(/^#+ `?cryptvisor ([a-z-]+ [a-z-]+)/gm),
      (match) => match[1],
    ),
  )
  const nouns = [...new Set([...commands].map((command) => command?.split(' ')[0]))]
  const told = new RegExp(`«(?:cryptvisor )?((?:${nouns.join('|')}) [a-z-]+)»`, 'g')
  let count = 0
  for await (const name of glob('**/*.ts', { cwd: pathOf('.'), exclude: (path) => path.endsWith('.test.ts') })) {
    for (const [, command] of readFileSync(pathOf(name), 'utf8').matchAll(told)) {
      assert.ok(commands.has(command), `${name} names «${command}»`)
      count++
    }
  }
  assert.ok(count > 10, `${count} commands are told of`)
})
