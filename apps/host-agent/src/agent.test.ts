import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { controlPlaneUri, hostUri } from '@cryptvisor/host-agent-api'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { agentFiles } from './config.ts'
import { TestAgent } from './testing/test-agent.ts'
import { createVm, decryptAll, done, encryptAll, importDisk, newVm, runOperation, sha256Of } from './testing/test-vm.ts'

const key = { provider: 'kms', keyId: 'key-1' }

test('a VM is created, its disk imported, all encrypted and decrypted back bit for bit', async (context) => {
  const agent = await TestAgent.create(context)
  assert.deepEqual(await agent.start(), { ready: true, url: agent.config.url, name: 'host-a' })
  const client = await agent.client()
  await client.addKey(key, Secret.random(32))
  const created = await createVm(client, newVm(agent.datastore))
  const imported = await importDisk(client, created, randomBytes(3 * 1_048_576 + 512))
  const path = (layerId: string | undefined) => join(agent.datastore, 'vm-1', `${layerId}.raw`)
  const before = await sha256Of(path(imported.disks[0]?.layerId))
  const encrypted = await done(client, encryptAll(imported, key))
  assert.deepEqual(await client.unlock(encrypted), { state: 'unlocked', reason: null })
  const { files } = await client.files(encrypted)
  assert.deepEqual(
    files.map(({ path: name }) => name),
    [
      `${encrypted.disks[0]?.layerId}.luks`,
      'home/config.3.sealed',
      'journal.json',
      'vm.json',
      'vm.keysafe',
      'vm.lock',
    ].toSorted(),
  )
  const decrypted = await done(client, decryptAll(encrypted))
  assert.equal(await sha256Of(path(decrypted.disks[0]?.layerId)), before)
  const { state, vm } = await runOperation(client, { kind: 'delete-vm', vm: decrypted })
  assert.deepEqual([state, vm], ['done', null])
  assert.equal(await agent.kill('SIGTERM'), 0)
})

test('an agent that starts anew holds no key, and its VMs are locked until it is given back', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  using kek = Secret.random(32)
  await client.addKey(key, kek)
  await client.setHostKey(key)
  const first = await client.host()
  assert.deepEqual([first.cryptoState, first.keysHeldCount, first.hostKey], ['safe', 1, key])
  const vm = await createVm(client, newVm(agent.datastore), key)
  await agent.kill('SIGKILL')
  await agent.start()
  const second = await client.host()
  assert.deepEqual([second.cryptoState, second.keysHeldCount, second.hostKey], ['prepared', 0, null])
  assert.notEqual(second.bootId, first.bootId)
  const { state, reason } = await client.unlock(vm)
  assert.deepEqual([state, reason?.code, reason?.missingKeys], ['locked', 'key-not-held', [key]])
  await client.addKey(key, Secret.random(32))
  assert.equal((await client.unlock(vm)).reason?.code, 'record-refused')
  await client.removeKey(key)
  await client.addKey(key, kek)
  assert.equal((await client.unlock(vm)).state, 'unlocked')
  assert.equal((await runOperation(client, { kind: 'delete-vm', vm })).state, 'done')
})

test('keys are told apart, forgotten, and taken in their one size only', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  const odd = { provider: 'kms', keyId: 'a/b c%20ü?' }
  using kek = Secret.random(32)
  await client.addKey(odd, kek)
  await client.addKey(odd, kek)
  assert.deepEqual((await client.keys()).keys, [odd])
  using other = Secret.random(32)
  await assert.rejects(client.addKey(odd, other), { status: 409, answerCode: 'key-conflict' })
  using short = Secret.random(16)
  await assert.rejects(client.addKey(key, short), { status: 400 })
  await assert.rejects(client.setHostKey(key), { answerCode: 'key-not-held' })
  await client.removeKey(odd)
  await client.removeKey(odd)
  assert.deepEqual((await client.keys()).keys, [])
})

test('a host without encryption takes no key and encrypts nothing, but holds plain VMs', async (context) => {
  const agent = await TestAgent.create(context, { crypto: 'unsupported' })
  await agent.start()
  const client = await agent.client()
  assert.equal((await client.host()).cryptoState, 'incapable')
  using kek = Secret.random(32)
  await assert.rejects(client.addKey(key, kek), { status: 501, answerCode: 'crypto-unsupported' })
  const vm = await createVm(client, newVm(agent.datastore))
  const { error } = await runOperation(client, encryptAll(vm, key))
  assert.equal(error?.code, 'crypto-unsupported')
  assert.equal((await client.unlock(vm)).state, 'unlocked')
})

test('only the control plane is served', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const usages = ['client'] as const
  const host = await agent.identity({ commonName: 'host-b', usages, uris: [hostUri('host-b-id')] })
  const both = await agent.identity({ commonName: 'x', usages, uris: [hostUri('b'), controlPlaneUri] })
  const nobody = await agent.identity({ commonName: controlPlaneUri, usages })
  for (const identity of [host, both, nobody]) {
    for (const path of ['/v1/host', '/openapi.json', '/nowhere']) {
      await assert.rejects(agent.rest(identity).call({ method: 'GET', path }), { status: 403 }, path)
    }
  }
  const { authority, privateKey } = await CertificateAuthority.create('Other CA', 1, () => new Date())
  using _ = privateKey
  const foreign = await agent.identity({ commonName: 'x', usages, uris: [controlPlaneUri] }, authority)
  for (const rest of [agent.rest(foreign), agent.rest()]) {
    await assert.rejects(rest.call({ method: 'GET', path: '/v1/host' }), ({ code }: { code?: string }) => {
      return code === 'not-trusted' || code === 'unreachable'
    })
  }
})

test('wrong requests are refused by the name of the field', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const identity = await agent.identity({ commonName: 'cp', usages: ['client'], uris: [controlPlaneUri] })
  const rest = agent.rest(identity)
  const put = (json: unknown) => rest.call({ method: 'PUT', path: `/v1/operations/${randomUUID()}`, json })
  const vm = newVm(agent.datastore)
  await assert.rejects(put({ kind: 'encrypt', vm, home: null, disks: [{}] }), { status: 400, field: 'disks.0.diskId' })
  await assert.rejects(put({ kind: 'delete-vm', vm: { ...vm, folder: '../up' } }), { status: 400, field: 'vm.folder' })
  await assert.rejects(put({ kind: 'delete-vm', vm, extra: 1 }), { status: 400, field: 'extra' })
  const other = { ...vm, vmId: randomUUID() }
  await assert.rejects(rest.call({ method: 'POST', path: `/v1/vms/${vm.vmId}/unlock`, json: other }), { field: 'vmId' })
  await assert.rejects(rest.call({ method: 'GET', path: '/v1/operations/nobody' }), { status: 404 })
})

test('the agent does not start where its memory would be given away, or its folder is not right', async (context) => {
  const agent = await TestAgent.create(context)
  await assert.rejects(agent.start({ nodeArgs: ['--inspect=127.0.0.1:0'] }), /does not start so/)
  assert.equal(await agent.ended(), 1)
  await assert.rejects(
    agent.start({ env: { NODE_OPTIONS: '--heapsnapshot-signal=SIGUSR2' } }),
    /debugger, or writes it/,
  )
  await assert.rejects(agent.start({ env: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } }), /NODE_TLS_REJECT_UNAUTHORIZED/)
  writeFileSync(agentFiles.config(agent.folder), JSON.stringify({ ...agent.config, crypto: 'maybe' }))
  await assert.rejects(agent.start(), /config\.json: crypto: must be "supported" or "unsupported"/)
  writeFileSync(agentFiles.config(agent.folder), JSON.stringify({ ...agent.config, colour: 'blue' }))
  await assert.rejects(agent.start(), /colour: there is no such field/)
})

test('a debugger cannot be called into a running agent, and it leaves no core dump', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start({ prefix: ['/usr/bin/prlimit', '--core=unlimited'] })
  const client = await agent.client()
  process.kill(agent.pid, 'SIGUSR1')
  const { keyMemory, tools } = await client.host()
  assert.equal(keyMemory.coreDumps, false)
  assert.match(tools.qemuImg ?? '', /^\d+\./)
  assert.match(readFileSync(`/proc/${agent.pid}/limits`, 'utf8'), /Max core file size\s+0\s/)
  assert.doesNotMatch(agent.log, /Debugger listening/)
})
