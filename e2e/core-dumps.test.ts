import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { HostDump } from '@cryptvisor/control-plane-api'
import { LabUnderTest } from './lab-under-test.ts'

/** Gives a dump to a host's helper, as the kernel would. */
async function crash(lab: LabUnderTest, host: string, content: Uint8Array): Promise<void> {
  const child = spawn(join(lab.folder, host, 'core-dump'), ['4711', 'qemu'], { stdio: 'pipe', env: {} })
  child.stdin.end(content)
  const [stderr, [exitCode]] = await Promise.all([text(child.stderr), once(child, 'close')])
  assert.equal(exitCode, 0, stderr)
}

test('core dumps are sealed to the host key; the CLI opens old and new ones after a rekey of the host', async (context) => {
  const lab = await LabUnderTest.start(context)
  await lab.json('host', 'crypto', 'enable', 'host-a')
  const first = randomBytes(2_500_000)
  await crash(lab, 'host-a', first)
  await lab.json('host', 'rekey', 'host-a')
  const second = randomBytes(700_000)
  await crash(lab, 'host-a', second)
  const dumps = await lab.json<HostDump[]>('host', 'dumps', 'host-a')
  assert.equal(dumps.length, 2)
  assert.notEqual(dumps[0]?.key.keyId, dumps[1]?.key.keyId)
  for (const [index, content] of [first, second].entries()) {
    const path = lab.path(`${index}.core`)
    await lab.json('host', 'decrypt-core', 'host-a', dumps[index]?.name ?? '', '--out', path)
    assert.ok(readFileSync(path).equals(content))
  }
  assert.equal((await lab.events('--type', 'host.core-dump-opened')).length, 2)
  // Another host is given no key of this one.
  const { exitCode, stderr } = await lab.cryptvisor(
    'host',
    'decrypt-core',
    'host-b',
    dumps[0]?.name ?? '',
    '--out',
    lab.path('x'),
  )
  assert.equal(exitCode, 1)
  assert.match(stderr, /no core dump/)
})
