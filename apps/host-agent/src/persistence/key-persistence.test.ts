import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { filesWithTrace, TestTpm, temporaryFolder } from '@cryptvisor/testkit'
import { agentFiles } from '../config.ts'
import { KeyCache } from '../key-cache.ts'
import { runTool } from '../process/tool.ts'
import { TestAgent } from '../testing/test-agent.ts'
import { nvIndexOf } from './key-file.ts'
import { KeyPersistence } from './key-persistence.ts'
import { Tpm } from './tpm.ts'

const vmKey = { provider: 'kms', keyId: 'vm-key' }
const hostKey = { provider: 'kms', keyId: 'host-key' }
const dayMs = 86_400_000

/** Opens what lies in `folder` as a start of the agent does. */
async function opened(
  context: TestContext,
  folder: string,
  tpm: TestTpm,
  {
    nowMs = Date.now(),
    pcrs = null,
    kind = Tpm,
  }: { readonly nowMs?: number; readonly pcrs?: string | null; readonly kind?: typeof Tpm } = {},
) {
  const keys = new KeyCache()
  const warnings: string[] = []
  const persistence = await KeyPersistence.open({
    ...{ folder, hostId: 'host-a', keys, now: () => nowMs },
    tpm: new kind(tpm.tcti, pcrs, folder),
    warn: (_fields, text) => warnings.push(text),
  })
  context.after(() => persistence[Symbol.asyncDispose]())
  return { keys, persistence, warnings }
}

/** From now on nothing confirms that a folder is on the disk: what was renamed in it may be there after a crash, or not. */
async function failFolderSync(context: TestContext, folder: string) {
  await using probe = await open(folder)
  const sync = probe.sync
  const mocked = context.mock.method(Object.getPrototypeOf(probe), 'sync', async function (this: FileHandle) {
    if ((await this.stat()).isDirectory()) throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' })
    await sync.call(this)
  })
  return mocked.mock
}

function folderOf(context: TestContext): string {
  const folder = join(temporaryFolder(context), 'agent')
  mkdirSync(folder, { mode: 0o700 })
  return folder
}

test('keys survive kill -9 and a reboot of the TPM; what was removed does not, and the disk has none in clear', async (context) => {
  const tpm = await TestTpm.start(context)
  const agent = await TestAgent.create(context, { tpm: { tcti: tpm.tcti } })
  await agent.start()
  const client = await agent.client()
  assert.deepEqual((await client.host()).keyPersistence, {
    ...{ isOn: false, keepDays: null, keyCount: null, keptUntilMs: null, tpmProblem: null, problem: null },
  })
  const bytes = Secret.random(32)
  await client.addKey(vmKey, bytes)
  assert.ok(!existsSync(agentFiles.persistedKeys(agent.folder)), 'off by default')
  assert.partialDeepStrictEqual(await client.enableKeyPersistence({ keepDays: 30 }), { isOn: true, keyCount: 1 })
  await client.addKey(hostKey, Secret.random(32))
  await client.setHostKey(hostKey)
  assert.equal((await client.host()).keyPersistence.keyCount, 2)
  const path = agentFiles.persistedKeys(agent.folder)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(await bytes.expose((raw) => filesWithTrace(agent.folder, raw)), [])
  await agent.kill('SIGKILL')
  await tpm.restart()
  await agent.start()
  const after = await client.host()
  assert.partialDeepStrictEqual(after, { cryptoState: 'safe', hostKey, keysHeldCount: 2 })
  assert.deepEqual(await client.compareKey(vmKey, bytes), { result: 'same' })
  await client.removeKey(vmKey)
  await agent.kill('SIGKILL')
  await agent.start()
  assert.deepEqual((await client.keys()).keys, [hostKey])
  assert.partialDeepStrictEqual(await client.disableKeyPersistence(), { isOn: false, keyCount: null })
  assert.ok(!existsSync(path))
  await agent.kill('SIGKILL')
  await agent.start()
  assert.deepEqual((await client.keys()).keys, [])
  assert.deepEqual(
    readdirSync(agent.folder).filter((name) => name.startsWith('tpm-')),
    [],
  )
})

test('without a TPM it is refused with the reason, and nothing is written', async (context) => {
  const agent = await TestAgent.create(context, { tpm: { tcti: 'swtpm:path=/nonexistent/tpm.sock' } })
  await agent.start()
  const client = await agent.client()
  await client.addKey(vmKey, Secret.random(32))
  await assert.rejects(client.enableKeyPersistence({ keepDays: 30 }), {
    ...{ answerCode: 'refused', message: /no TPM 2\.0 answers at swtpm:path=\/nonexistent/ },
  })
  const { keyPersistence } = await client.host()
  assert.equal(keyPersistence.isOn, false)
  assert.match(keyPersistence.tpmProblem ?? '', /no TPM 2\.0/)
  assert.ok(!existsSync(agentFiles.persistedKeys(agent.folder)))
})

test('another TPM, another host, and a changed or cut file give no key', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  {
    const { keys, persistence } = await opened(context, folder, tpm)
    keys.add(vmKey, Secret.random(32))
    await persistence.enable(30)
  }
  const path = agentFiles.persistedKeys(folder)
  const good = readFileSync(path)
  const other = await TestTpm.start(context)
  const refused = async (bytes: Uint8Array, by: TestTpm, problem: RegExp) => {
    writeFileSync(path, bytes)
    const { keys, persistence, warnings } = await opened(context, folder, by)
    assert.equal(keys.count, 0)
    assert.match(persistence.status.problem ?? '', problem)
    assert.equal(warnings.length, 1)
    assert.ok(readFileSync(path).equals(bytes), 'it is left as it was')
  }
  await refused(good, other, /tpm2_load failed/)
  const text = good.toString('latin1')
  const changed = (from: string, to: string) => Buffer.from(text.replace(from, to), 'latin1')
  await refused(changed('"host-a"', '"host-b"'), tpm, /is of host host-b/)
  await refused(changed('"keepDays":30', '"keepDays":99'), tpm, /was changed or cut/)
  await refused(good.subarray(0, -1), tpm, /was changed or cut/)
  const flipped = Uint8Array.from(good)
  flipped[flipped.length - 40] = (flipped[flipped.length - 40] ?? 0) ^ 1
  await refused(flipped, tpm, /was changed or cut/)
  const blob = /"private":"(.{40})/.exec(text)?.[1] ?? ''
  await refused(changed(blob, `${blob.slice(0, -1)}${blob.endsWith('A') ? 'B' : 'A'}`), tpm, /tpm2_load failed/)
  writeFileSync(path, good)
  assert.equal((await opened(context, folder, tpm)).keys.count, 1)
})

test('what was erased stays erased: older copies of the file do not open any more', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  const path = agentFiles.persistedKeys(folder)
  const copies: Buffer[] = []
  const { keys, persistence } = await opened(context, folder, tpm)
  keys.add(hostKey, Secret.random(32))
  await persistence.enable(30)
  copies.push(readFileSync(path))
  keys.add(vmKey, Secret.random(32))
  await persistence.added()
  copies.push(readFileSync(path))
  keys.remove(vmKey)
  await persistence.removed(vmKey)
  const present = readFileSync(path)
  const refused = async () => {
    for (const copy of copies) {
      writeFileSync(path, copy)
      const rolledBack = await opened(context, folder, tpm)
      assert.equal(rolledBack.keys.count, 0)
      assert.match(rolledBack.persistence.status.problem ?? '', /an older copy|tpm2_nvread failed/)
    }
  }
  await refused()
  writeFileSync(path, present)
  assert.deepEqual((await opened(context, folder, tpm)).keys.keys, [hostKey])
  await persistence.disable()
  copies.push(present)
  await refused()
})

test('a removal that is cut short leaves a file that opens, before and after the TPM took the new secret', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  const path = agentFiles.persistedKeys(folder)
  const { keys, persistence } = await opened(context, folder, tpm)
  keys.add(hostKey, Secret.random(32))
  keys.add(vmKey, Secret.random(32))
  await persistence.enable(30)
  const before = readFileSync(path)
  // The TPM is away: the next file is laid down, and the TPM has not taken its secret.
  await tpm.stop()
  keys.remove(vmKey)
  await assert.rejects(persistence.removed(vmKey), { code: 'io' })
  assert.equal(readFileSync(path).length, 0, 'the keys are gone from the disk at least')
  await tpm.restart()
  const unconfirmed = await opened(context, folder, tpm)
  assert.equal(unconfirmed.keys.count, 0)
  assert.match(unconfirmed.persistence.status.problem ?? '', /has not confirmed/)
  writeFileSync(path, before)
  assert.equal((await opened(context, folder, tpm)).keys.count, 2, 'it was right to say so')
  const later = await opened(context, folder, tpm)
  later.keys.remove(vmKey)
  await later.persistence.removed(vmKey)
  // Killed before the file was put in its place.
  writeFileSync(`${path}.next`, readFileSync(path))
  writeFileSync(path, before)
  assert.deepEqual((await opened(context, folder, tpm)).keys.keys, [hostKey])
  assert.ok(!existsSync(`${path}.next`))
  // Killed before the TPM took the next one's secret.
  writeFileSync(`${path}.next`, before)
  assert.deepEqual((await opened(context, folder, tpm)).keys.keys, [hostKey])
  await unconfirmed.persistence.disable()
  assert.ok(!existsSync(`${path}.next`))
  writeFileSync(path, before)
  assert.equal((await opened(context, folder, tpm)).keys.count, 0, 'the TPM has forgotten')
})

test('a key goes for good also where its writing had failed, so that nobody knew whether the file has it', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  const path = agentFiles.persistedKeys(folder)
  const { keys, persistence } = await opened(context, folder, tpm)
  keys.add(hostKey, Secret.random(32))
  await persistence.enable(30)
  const failing = await failFolderSync(context, folder)
  keys.add(vmKey, Secret.random(32))
  await persistence.added()
  failing.restore()
  assert.equal(persistence.status.problem, 'the persisted keys could not be written')
  assert.equal((await opened(context, folder, tpm)).keys.count, 2, 'it was renamed all the same')
  const copy = readFileSync(path)
  keys.remove(vmKey)
  await persistence.removed(vmKey)
  assert.partialDeepStrictEqual(persistence.status, { keyCount: 1, problem: null })
  assert.deepEqual((await opened(context, folder, tpm)).keys.keys, [hostKey])
  writeFileSync(path, copy)
  assert.equal((await opened(context, folder, tpm)).keys.count, 0)
})

test('a key that is removed while the TPM opens it does not come back', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  const path = agentFiles.persistedKeys(folder)
  {
    const { keys, persistence } = await opened(context, folder, tpm)
    keys.add(hostKey, Secret.random(32))
    keys.add(vmKey, Secret.random(32))
    await persistence.enable(30)
  }
  const copy = readFileSync(path)
  await tpm.stop()
  const [reached, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  class SlowTpm extends Tpm {
    override async open(...args: Parameters<Tpm['open']>) {
      const secrets = await super.open(...args)
      reached.resolve()
      await goOn.promise
      return secrets
    }
  }
  const { keys, persistence } = await opened(context, folder, tpm, { kind: SlowTpm })
  assert.equal(keys.count, 0, 'the TPM is not ready at the start')
  await tpm.restart()
  const enabled = persistence.enable(30)
  await reached.promise
  keys.remove(vmKey)
  const removed = persistence.removed(vmKey)
  goOn.resolve()
  await Promise.all([enabled, removed])
  assert.deepEqual(keys.keys, [hostKey])
  assert.partialDeepStrictEqual(persistence.status, { isOn: true, keyCount: 1, problem: null })
  assert.deepEqual((await opened(context, folder, tpm)).keys.keys, [hostKey])
  writeFileSync(path, copy)
  assert.equal((await opened(context, folder, tpm)).keys.count, 0)
})

test('what somebody else keeps in the TPM is left alone', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  const index = `0x${nvIndexOf('host-a').toString(16)}`
  const theirs = await runTool('tpm2_nvdefine', ['-T', tpm.tcti, '-C', 'o', '-s', '64', index])
  assert.equal(theirs.exitCode, 0, theirs.stderr)
  const { keys, persistence } = await opened(context, folder, tpm)
  keys.add(vmKey, Secret.random(32))
  await assert.rejects(persistence.enable(30), { code: 'refused', message: /somebody else/ })
  assert.equal(persistence.status.isOn, false)
  assert.equal((await runTool('tpm2_nvreadpublic', ['-T', tpm.tcti, index])).exitCode, 0)
  assert.ok(!existsSync(agentFiles.persistedKeys(folder)))
})

test('fewer days count for older copies of the file, too; more days write no new secret', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  const path = agentFiles.persistedKeys(folder)
  const startMs = Date.now()
  const { keys, persistence } = await opened(context, folder, tpm, { nowMs: startMs })
  keys.add(vmKey, Secret.random(32))
  await persistence.enable(20)
  const short = readFileSync(path)
  await persistence.enable(30)
  const long = readFileSync(path)
  writeFileSync(path, short)
  assert.equal((await opened(context, folder, tpm, { nowMs: startMs })).keys.count, 1)
  writeFileSync(path, long)
  await persistence.enable(1)
  const present = readFileSync(path)
  for (const copy of [short, long]) {
    writeFileSync(path, copy)
    const rolledBack = await opened(context, folder, tpm, { nowMs: startMs + 10 * dayMs })
    assert.equal(rolledBack.keys.count, 0)
    assert.match(rolledBack.persistence.status.problem ?? '', /an older copy/)
  }
  writeFileSync(path, present)
  assert.equal((await opened(context, folder, tpm, { nowMs: startMs })).keys.count, 1)
})

test('keys that were kept for too long are erased; a clock that was set back opens nothing', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  const startMs = Date.now()
  {
    const { keys, persistence } = await opened(context, folder, tpm, { nowMs: startMs })
    keys.add(vmKey, Secret.random(32))
    await persistence.enable(2)
  }
  const back = await opened(context, folder, tpm, { nowMs: startMs - 2 * dayMs })
  assert.equal(back.keys.count, 0)
  assert.match(back.persistence.status.problem ?? '', /set the clock right/)
  const inTime = await opened(context, folder, tpm, { nowMs: startMs + 1.9 * dayMs })
  assert.equal(inTime.keys.count, 1)
  inTime.persistence.confirmed()
  await inTime.persistence.settle()
  assert.equal((await opened(context, folder, tpm, { nowMs: startMs + 3.8 * dayMs })).keys.count, 1)
  const late = await opened(context, folder, tpm, { nowMs: startMs + 4 * dayMs })
  assert.equal(late.keys.count, 0)
  assert.match(late.persistence.status.problem ?? '', /were erased/)
  assert.ok(!existsSync(agentFiles.persistedKeys(folder)))
})

test('with PCRs, a machine that has booted something else gets no key', async (context) => {
  const folder = folderOf(context)
  const tpm = await TestTpm.start(context)
  {
    const { keys, persistence } = await opened(context, folder, tpm, { pcrs: 'sha256:7' })
    keys.add(vmKey, Secret.random(32))
    await persistence.enable(30)
  }
  assert.equal((await opened(context, folder, tpm)).keys.count, 1)
  const measured = await runTool('tpm2_pcrextend', ['-T', tpm.tcti, `7:sha256=${'ab'.repeat(32)}`])
  assert.equal(measured.exitCode, 0, measured.stderr)
  const changed = await opened(context, folder, tpm)
  assert.equal(changed.keys.count, 0)
  assert.match(changed.persistence.status.problem ?? '', /policy check failed/)
})
