import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { TakeSupportBundle } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { filesBelow, formsOf, holdsTrace, temporaryFolder } from '@cryptvisor/testkit'
import { TestAgent } from '../testing/test-agent.ts'
import { newVm, runOperation } from '../testing/test-vm.ts'

const hostKeyName = { provider: 'kms', keyId: 'host-key-1' }
const main = fileURLToPath(new URL('../main.ts', import.meta.url))

const requestOf = (agent: TestAgent, more: Partial<TakeSupportBundle> = {}): TakeSupportBundle => ({
  takenBy: 'kim',
  sealed: false,
  datastores: [{ name: 'ssd-1', path: agent.datastore, folders: ['web'] }],
  keyIds: [],
  files: [{ name: 'events.jsonl', about: 'events', lines: ['{"type":"host.connected"}'] }],
  ...more,
})

interface Unpacked {
  readonly folder: string
  read(name: string): string
  rows(name: string): Record<string, unknown>[]
  readonly cuts: Readonly<Record<string, string>>
}

/** Unpacks a bundle with the system's tar. */
function unpack(context: TestContext, bytes: Uint8Array): Unpacked {
  const folder = temporaryFolder(context)
  execFileSync('tar', ['-xzf', '-', '-C', folder], { input: bytes })
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const { files } = JSON.parse(read('manifest.json')) as { files: { name: string; cut: string | null }[] }
  return {
    folder,
    read,
    // Written by us, a value of JSON a line.
    rows: (name) =>
      read(name)
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    cuts: Object.fromEntries(files.flatMap(({ name, cut }) => (cut === null ? [] : [[name, cut]]))),
  }
}

/** A folder of a VM as one of ours lies there. */
function plantVm(datastore: string, name: string): { vmId: string; layerId: string; folder: string } {
  const [vmId, layerId, folder] = [randomUUID(), randomUUID(), join(datastore, name)]
  mkdirSync(join(folder, 'home'), { recursive: true })
  const encryption = { keys: [{ provider: 'kms', keyId: 'vm-key-1' }], generation: 1, luksUuid: layerId }
  const disk = {
    diskId: randomUUID(),
    number: 0,
    layerId,
    format: 'raw',
    payloadBytes: 1024,
    virtualBytes: 1024,
    policy: 'p',
  }
  const document = { version: 1, vmId, name, generation: 3, policy: 'p', home: { generation: 3 }, encryption: null }
  writeFileSync(join(folder, 'vm.json'), JSON.stringify({ ...document, disks: [{ ...disk, encryption }] }))
  writeFileSync(
    join(folder, `${layerId}.luks`),
    Buffer.concat([Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'), randomBytes(100)]),
  )
  writeFileSync(join(folder, 'home', 'config.3.sealed'), randomBytes(50))
  return { vmId, layerId, folder }
}

test('a bundle has what support asks for, and the manifest last', async (context) => {
  const agent = await TestAgent.create(context)
  const { vmId, layerId, folder } = plantVm(agent.datastore, 'web')
  writeFileSync(join(folder, 'notes of kim.txt'), 'x')
  mkdirSync(join(agent.datastore, 'lost+found'))
  await agent.start()
  const client = await agent.client()
  using hostKey = Secret.random(32)
  await client.addKey(hostKeyName, hostKey)
  await client.setHostKey(hostKeyName)
  const bundle = unpack(context, await buffer(await client.takeSupportBundle(requestOf(agent))))
  const plan = await client.planSupportBundle(requestOf(agent))
  assert.deepEqual(plan.hostKey, hostKeyName)
  const names = (await filesBelow(bundle.folder)).map((path) => path.slice(bundle.folder.length + 1))
  assert.deepEqual(names.toSorted(), [...plan.files.map(({ name }) => name), 'manifest.json'].toSorted())
  assert.deepEqual(bundle.cuts, {})
  assert.partialDeepStrictEqual(JSON.parse(bundle.read('manifest.json')), {
    kind: 'host',
    name: 'host-a',
    takenBy: 'kim',
  })
  assert.partialDeepStrictEqual(JSON.parse(bundle.read('host/status.json')), {
    cryptoState: 'safe',
    hostKey: hostKeyName,
  })
  assert.deepEqual(bundle.rows('host/keys.jsonl'), [{ hostKey: hostKeyName, heldCount: 1 }, hostKeyName])
  assert.match(bundle.read('host/log.jsonl'), /agent is ready/)
  assert.match(bundle.read('host/session.json'), /lastProblem/)
  assert.match(bundle.read('host/system.json'), /"qemu-img": "qemu-img version/)
  assert.partialDeepStrictEqual(JSON.parse(bundle.read('host/places.json')), {
    datastores: [{ name: 'ssd-1', path: agent.datastore }],
  })
  assert.match(bundle.read('control-plane/events.jsonl'), /host\.connected/)
  assert.partialDeepStrictEqual(bundle.rows('datastores/1/vms.jsonl'), [{ folder: 'web', vm: { vmId }, problem: null }])
  const files = bundle.rows('datastores/1/files.jsonl')
  const found = (name: string) => files.find((file) => file['name'] === name)
  assert.partialDeepStrictEqual(found(`${layerId}.luks`) ?? {}, { folder: 'web', header: 'LUKS1', sizeBytes: 108 })
  assert.partialDeepStrictEqual(found('config.3.sealed') ?? {}, { folder: 'web/home', header: 'other' })
  // What others put there is counted and not named.
  assert.ok(files.some((file) => file['name'] === null && file['nameSizeBytes'] === 16 && file['folder'] === 'web'))
  assert.ok(!bundle.read('datastores/1/files.jsonl').includes('lost+found'))
})

test('sealed to the host key it opens with that key, offline; without a host key it is refused', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  const request = requestOf(agent, { sealed: true })
  await assert.rejects(client.takeSupportBundle(request), { answerCode: 'refused', message: /no host key/ })
  using hostKey = Secret.random(32)
  await client.addKey(hostKeyName, hostKey)
  await client.setHostKey(hostKeyName)
  const sealed = await buffer(await client.takeSupportBundle(request))
  const path = join(temporaryFolder(context), 'host-a.bundle')
  writeFileSync(path, sealed)
  assert.match(sealed.subarray(0, 200).toString('latin1'), /^\{"format":"cryptvisor-sealed-support-bundle".*host-key-1/)
  const open = (input: Buffer) =>
    spawnSync(process.execPath, [main, 'decrypt-bundle', '--file', path], { input, env: {} })
  const opened = hostKey.expose((bytes) => open(Buffer.from(bytes)))
  assert.equal(opened.status, 0, opened.stderr.toString())
  assert.match(unpack(context, opened.stdout).read('host/status.json'), /host-key-1/)
  const other = open(randomBytes(32))
  assert.equal(other.status, 1)
  assert.match(other.stderr.toString(), /another key/)
  writeFileSync(path, sealed.subarray(0, -20))
  assert.equal(hostKey.expose((bytes) => open(Buffer.from(bytes))).status, 1)
})

test('no key, password, token or private key gets into a bundle from anywhere that it reads', async (context) => {
  const canaries = Array.from({ length: 8 }, () => randomBytes(32))
  const [kek, dek, inEvent, inName, inDocument, inEnvironment, token, inLog] = canaries as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ]
  const password = `hunter2-${randomUUID().slice(0, 8)}`
  const { privateKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const agent = await TestAgent.create(context, { datastoreRoots: [tmpdir(), `/mnt/${dek.toString('hex')}`] })
  const { folder } = plantVm(agent.datastore, 'web')
  writeFileSync(join(folder, `${inName.toString('hex')}.raw`), inName)
  writeFileSync(join(folder, inName.toString('base64url')), inName)
  writeFileSync(join(folder, password), password)
  writeFileSync(join(agent.datastore, `password=${password}`), password)
  const { folder: second } = plantVm(agent.datastore, `vm-${inName.toString('hex')}`)
  writeFileSync(join(second, 'vm.json'), JSON.stringify({ [password]: password, key: inDocument.toString('base64') }))
  plantVm(agent.datastore, 'third')
  const third = join(agent.datastore, 'third', 'vm.json')
  writeFileSync(third, readFileSync(third, 'utf8').replace('"vm-key-1"', JSON.stringify(inDocument.toString('hex'))))
  await agent.start({ env: { KMS_PASSWORD: password, SECRET: inEnvironment.toString('hex') } })
  const client = await agent.client()
  await client.addKey(hostKeyName, Secret.from(Uint8Array.from(kek)))
  await client.setHostKey(hostKeyName)
  // It is logged with its ID.
  await runOperation(client, { kind: 'delete-vm', vm: newVm(agent.datastore, 'nobody') }, inLog.toString('hex'))
  const lines = [
    ...formsOf(inEvent)
      .slice(1)
      .map((form) => `failed with ${form.toString()}`),
    JSON.stringify({ text: privateKey, token: token.toString('base64'), list: [...inEvent] }),
    JSON.stringify({ password, text: `--password=${password} Authorization: Bearer ${password}` }),
    `https://admin:${password}@kms.example says no`,
  ]
  const request = requestOf(agent, { files: [{ name: 'events.jsonl', about: 'events', lines }] })
  const bundle = unpack(context, await buffer(await client.takeSupportBundle(request)))
  const body = privateKey.split('\n')[1]?.slice(0, 24) ?? ''
  for (const path of await filesBelow(bundle.folder)) {
    const bytes = readFileSync(path)
    for (const [index, canary] of canaries.entries()) assert.ok(!holdsTrace(bytes, canary), `${path}: canary ${index}`)
    for (const text of [password, body]) assert.ok(!bytes.includes(text), `${path}: ${text}`)
  }
  assert.match(bundle.read('control-plane/events.jsonl'), /\[removed: /)
  assert.ok(agent.log.includes(inLog.toString('hex')))
  assert.match(bundle.read('host/log.jsonl'), /"operationId":"\[removed: 64 hex digits, no\. \d+\]"/)
  // The scan would have found them: one that is named as a key ID is left as it is.
  const kept = requestOf(agent, { keyIds: [inEvent.toString('hex')], files: request.files })
  const other = unpack(context, await buffer(await client.takeSupportBundle(kept)))
  assert.ok(holdsTrace(readFileSync(join(other.folder, 'control-plane/events.jsonl')), inEvent))
})

test('a hostile datastore neither hangs nor swells a bundle', async (context) => {
  const agent = await TestAgent.create(context)
  const { folder } = plantVm(agent.datastore, 'web')
  execFileSync('mkfifo', [
    join(folder, `${randomUUID()}.luks`),
    join(folder, 'journal.json'),
    join(agent.datastore, 'pipe'),
  ])
  symlinkSync('/etc/passwd', join(folder, `${randomUUID()}.raw`))
  symlinkSync('/etc', join(agent.datastore, 'link'))
  symlinkSync('loop', join(agent.datastore, 'loop'))
  writeFileSync(join(folder, 'a\nb"c\\d\u0007.luks'), 'x')
  const { folder: huge } = plantVm(agent.datastore, 'huge')
  execFileSync('truncate', ['-s', '1T', join(huge, 'vm.json'), join(huge, `${randomUUID()}.raw`)])
  const { folder: pipe } = plantVm(agent.datastore, 'pipe-vm')
  execFileSync('sh', ['-c', `rm "$1/vm.json" && mkfifo "$1/vm.json"`, 'sh', pipe])
  execFileSync('sh', [
    '-c',
    'cd "$1" && seq -f "%.0f-0123456789-0123456789" 100000 | xargs touch',
    'sh',
    agent.datastore,
  ])
  execFileSync('sh', ['-c', 'cd "$1" && seq -f "%.0f.luks" 20000 | xargs touch', 'sh', folder])
  await agent.start()
  const client = await agent.client()
  const folders = ['web', 'huge', 'pipe-vm']
  const request = requestOf(agent, { datastores: [{ name: 'ssd-1', path: agent.datastore, folders }] })
  const bytes = await buffer(await client.takeSupportBundle(request))
  assert.ok(bytes.length < 1_000_000)
  const bundle = unpack(context, bytes)
  assert.deepEqual(bundle.cuts, {})
  const rows = bundle.rows('datastores/1/files.jsonl')
  assert.ok(rows.length < 5700)
  assert.ok(rows.some(({ note }) => /more than 5000 entries/.test(String(note))))
  assert.ok(rows.some(({ note }) => /more than 200 entries/.test(String(note))))
  assert.ok(!JSON.stringify(rows).includes('root:'))
  const vms = bundle.rows('datastores/1/vms.jsonl')
  const problemOf = (name: string) => String(vms.find((row) => row['folder'] === name)?.['problem'])
  assert.match(problemOf('huge'), /more than 262144 bytes/)
  assert.match(problemOf('pipe-vm'), /regular file/)
  assert.match(String(vms.find((row) => row['folder'] === 'web')?.['journalProblem']), /regular file/)
})

test('a datastore that is not there is said in the manifest, and the rest is there', async (context) => {
  const agent = await TestAgent.create(context)
  await agent.start()
  const client = await agent.client()
  const datastores = [
    { name: 'gone', path: '/nowhere/at/all', folders: [] },
    { name: 'ssd-1', path: agent.datastore, folders: ['never-made'] },
  ]
  const bundle = unpack(context, await buffer(await client.takeSupportBundle(requestOf(agent, { datastores }))))
  assert.deepEqual(Object.keys(bundle.cuts), ['datastores/1/files.jsonl', 'datastores/1/vms.jsonl'])
  assert.partialDeepStrictEqual(bundle.rows('datastores/2/vms.jsonl'), [
    { folder: 'never-made', problem: 'it is missing' },
  ])
  assert.match(bundle.cuts['datastores/1/files.jsonl'] ?? '', /no such folder on this host; is it mounted/)
})

test('one bundle is made at a time, and one that nobody reads to its end makes room for the next', async (context) => {
  const agent = await TestAgent.create(context)
  for (let index = 0; index < 40; index++) plantVm(agent.datastore, `vm-${index}`)
  await agent.start()
  const client = await agent.client()
  const file = {
    about: 'x',
    lines: Array.from({ length: 25 }, () => randomBytes(24_000).toString('base64').replaceAll(/[A-Z]/g, '')),
  }
  const files = ['a', 'b'].map((name) => ({ ...file, name: `${name}.jsonl` }))
  const first: Readable = await client.takeSupportBundle(requestOf(agent, { files }))
  await assert.rejects(client.takeSupportBundle(requestOf(agent)), { answerCode: 'too-many' })
  first.destroy()
  await once(first, 'close')
  for (;;) {
    try {
      assert.ok((await buffer(await client.takeSupportBundle(requestOf(agent)))).length > 0)
      break
    } catch (error) {
      assert.match(String(error), /is being made/)
    }
  }
  assert.ok(readdirSync(agent.folder).length > 0)
  // An agent that dies in the middle is told from an end.
  const broken = await client.takeSupportBundle(requestOf(agent, { files }))
  const read = assert.rejects(buffer(broken))
  await agent.kill('SIGKILL')
  await read
})
