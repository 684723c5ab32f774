import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { temporaryFolder } from '@cryptvisor/testkit'
import { agentFiles } from '../config.ts'
import { TestAgent } from '../testing/test-agent.ts'
import { corePatternSettings, writeCoreDumpHelper } from './core-pattern.ts'
import { writeDumpKey } from './dump-key.ts'
import { listDumps, OpenedDump } from './read-dump.ts'
import { writeDump } from './write-dump.ts'

const key = { provider: 'kms', keyId: 'host-key-1' }
const canary = Buffer.from('a secret of the process that crashed')

async function run(command: string, args: readonly string[], input: Uint8Array) {
  const child = spawn(command, args, { stdio: 'pipe', env: {} })
  child.stdin.on('error', () => undefined).end(input)
  const [stdout, stderr, [exitCode]] = await Promise.all([
    buffer(child.stdout),
    text(child.stderr),
    once(child, 'close'),
  ])
  return { stdout, stderr, exitCode: Number(exitCode) }
}

function folderOf(context: TestContext): string {
  const folder = join(temporaryFolder(context), 'agent')
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

const dumpOf = (folder: string) => join(agentFiles.dumps(folder), readdirSync(agentFiles.dumps(folder))[0] ?? '')

async function* pieces(...all: Uint8Array[]) {
  yield* all
}

test('the helper seals what the kernel gives it; nothing plain is on the disk, and the host key opens it', async (context) => {
  const folder = folderOf(context)
  await writeCoreDumpHelper(folder)
  const helper = agentFiles.coreDumpHelper(folder)
  const content = Buffer.concat([randomBytes(3_000_000), canary, randomBytes(200_000)])
  const without = await run(helper, ['77', 'qemu'], content)
  assert.equal(without.exitCode, 1)
  assert.match(without.stderr, /no host key/)
  assert.ok(!readdirSync(folder).includes('dumps'))
  using hostKey = Secret.random(32)
  await writeDumpKey(folder, key, hostKey)
  const sealed = await run(helper, ['77', "it's; a `name`"], content)
  assert.equal(sealed.exitCode, 0, sealed.stderr)
  const path = dumpOf(folder)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  for (const name of [path, agentFiles.dumpKey(folder), helper]) {
    const bytes = readFileSync(name)
    assert.ok(!bytes.includes(canary), name)
    hostKey.expose((raw) => assert.ok(!bytes.includes(Buffer.from(raw)), name))
  }
  const [listed] = await listDumps(folder)
  assert.partialDeepStrictEqual({ ...listed }, { key, process: { pid: 77, command: "it's; a `name`" } })
  const main = new URL('../main.ts', import.meta.url).pathname
  const opened = await hostKey.expose((raw) =>
    run(process.execPath, [main, 'decrypt-core', '--file', path], Uint8Array.from(raw)),
  )
  assert.equal(opened.exitCode, 0, opened.stderr)
  assert.ok(opened.stdout.equals(content))
})

test('another key, a changed byte anywhere, and a cut are refused', async (context) => {
  const folder = folderOf(context)
  using hostKey = Secret.random(32)
  using other = Secret.random(32)
  await writeDumpKey(folder, key, hostKey)
  await writeDump(pieces(canary), { folder, pid: 1, command: 'x', now: new Date() })
  const path = dumpOf(folder)
  const good = readFileSync(path)
  const openWith = async (bytes: Uint8Array, secret: Secret) => {
    writeFileSync(path, bytes)
    await using dump = await OpenedDump.open(path)
    return await buffer(dump.plain(secret))
  }
  assert.ok((await openWith(good, hostKey)).equals(canary))
  await assert.rejects(openWith(good, other), { code: 'refused' })
  for (let index = 0; index < good.length; index++) {
    const changed = Uint8Array.from(good)
    changed[index] = (changed[index] ?? 0) ^ 1
    await assert.rejects(openWith(changed, hostKey), { code: 'refused' }, `byte ${index}`)
  }
  await assert.rejects(openWith(good.subarray(0, -1), hostKey), { code: 'refused' })
})

test('too large a dump leaves nothing, and the oldest go when there are too many', async (context) => {
  const folder = folderOf(context)
  using hostKey = Secret.random(32)
  await writeDumpKey(folder, key, hostKey)
  const limits = { sizeBytesMax: 100, countMax: 2, freeBytesMin: 0 }
  const dump = (pid: number, size: number) =>
    writeDump(pieces(randomBytes(size)), { folder, pid, command: 'x', now: new Date(1_000 * pid), limits })
  await assert.rejects(dump(1, 101), { code: 'no-space' })
  assert.deepEqual(readdirSync(agentFiles.dumps(folder)), [])
  for (const pid of [1, 2, 3]) await dump(pid, 100)
  assert.deepEqual(
    (await listDumps(folder)).map(({ process }) => process.pid),
    [2, 3],
  )
})

test('over REST a dump opens with the key held, and after a rekey with the old key handed in, which is not kept', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  using hostKey = Secret.random(32)
  await client.addKey(key, hostKey)
  await client.setHostKey(key)
  const content = randomBytes(2_500_000)
  const helper = agentFiles.coreDumpHelper(agent.folder)
  assert.equal((await run(helper, ['9', 'guest'], content)).exitCode, 0)
  const [dump] = (await client.dumps()).dumps
  assert.ok(dump !== undefined)
  const held = await client.openDump(dump.name, null)
  assert.equal(held.sizeBytes, content.length)
  assert.ok((await buffer(held.stream)).equals(content))
  const next = { provider: 'kms', keyId: 'host-key-2' }
  await client.addKey(next, Secret.random(32))
  await client.setHostKey(next)
  await client.removeKey(key)
  await assert.rejects(client.openDump(dump.name, null), { answerCode: 'key-not-held' })
  assert.ok((await buffer((await client.openDump(dump.name, hostKey)).stream)).equals(content))
  assert.deepEqual((await client.keys()).keys, [next])
  assert.equal((await run(helper, ['10', 'guest'], content)).exitCode, 0)
  assert.deepEqual(
    (await client.dumps()).dumps.map((each) => each.key),
    [key, next],
  )
  await assert.rejects(client.openDump('../config.json', null), { answerCode: 'file-missing' })
})

test('the settings for the kernel name the helper, and are refused where the kernel would cut them', () => {
  assert.equal(
    corePatternSettings('/var/lib/cryptvisor'),
    'kernel.core_pattern=|/var/lib/cryptvisor/core-dump %P %e\nkernel.core_pipe_limit=4\n',
  )
  assert.throws(() => corePatternSettings(`/${'x'.repeat(120)}`), { code: 'bad-config' })
  assert.throws(() => corePatternSettings('/var/lib/my agent'), { code: 'bad-config' })
})
