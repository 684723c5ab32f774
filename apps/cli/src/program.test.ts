import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import type { Command } from 'commander'
import { Interrupt } from './interrupt.ts'
import { buildProgram } from './program.ts'

test('no command has an option of its own under the name of one that all have: it would never get it', () => {
  const stream = () => new PassThrough()
  const program = buildProgram({
    ...{ stdin: stream(), stdout: stream(), stderr: stream() },
    ...{
      environment: {},
      homeFolder: '/',
      interrupt: new Interrupt(() => {}),
      now: () => 0,
      pollPace: { firstMs: 0, lastMs: 0 },
    },
  })
  const everywhere = new Set(program.options.map(({ long }) => long))
  let count = 0
  const look = (command: Command, path: string) => {
    for (const each of command.commands) {
      const name = `${path} ${each.name()}`
      for (const { long } of each.options) assert.ok(!everywhere.has(long), `${name} ${long}`)
      count++
      look(each, name)
    }
  }
  look(program, program.name())
  assert.ok(everywhere.has('--ca') && count > 100)
})
