import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { filesBelow } from '@cryptvisor/testkit'
import { LabUnderTest } from './lab-under-test.ts'

/** Unpacks a bundle, and gives its files by name. */
async function unpack(lab: LabUnderTest, path: string): Promise<Map<string, string>> {
  const folder = lab.path(`unpacked-${path.split('/').at(-1)}`)
  mkdirSync(folder)
  execFileSync('tar', ['-xzf', path, '-C', folder])
  const files = await filesBelow(folder)
  return new Map(files.map((file) => [file.slice(folder.length + 1), readFileSync(file, 'utf8')]))
}

test('support bundles: of a host sealed to its key, also an earlier one; of the control plane sealed for age', async (context) => {
  const lab = await LabUnderTest.start(context)
  const image = lab.path('disk.img')
  writeFileSync(image, Buffer.alloc(1_048_576, 1))
  await lab.json('vm', 'import', 'web', '--disk', image, '--host', 'host-a')
  await lab.json('vm', 'encrypt', 'web')
  const sealed = lab.path('host-a.bundle')
  await lab.json('host', 'support-bundle', 'host-a', '--out', sealed)
  // A bundle opens with the key that it names, also when the host has another one.
  await lab.json('host', 'rekey', 'host-a')
  const opened = lab.path('host-a.tar.gz')
  await lab.json('host', 'decrypt-bundle', 'host-a', sealed, '--out', opened)
  const files = await unpack(lab, opened)
  const manifest = JSON.parse(files.get('manifest.json') ?? '')
  assert.partialDeepStrictEqual(manifest, { kind: 'host', name: 'host-a' })
  for (const { name, cut } of manifest.files) assert.equal(cut, null, name)
  assert.match(files.get('datastores/1/vms.jsonl') ?? '', /"folder":"web","vm":\{"version":1/)
  assert.match(files.get('datastores/1/files.jsonl') ?? '', /"header":"LUKS1"/)
  assert.match(files.get('host/log.jsonl') ?? '', /operation ended/)
  assert.match(files.get('host/session.json') ?? '', /"since": \d/)
  assert.match(files.get('control-plane/vms.jsonl') ?? '', /"name":"web"/)
  assert.match(files.get('control-plane/events.jsonl') ?? '', /vm\.crypto\.encrypted|host\.crypto/)
  // What it was given of the key's name is there whole: support asks for it first.
  const vm = await lab.json<{ home: { key: { keyId: string } } }>('vm', 'show', 'web')
  assert.ok(files.get('host/keys.jsonl')?.includes(vm.home.key.keyId))
  // Another host's key is not had through this host, and nobody but the owner of the file reads it.
  const wrong = await lab.cryptvisor('host', 'decrypt-bundle', 'host-b', sealed, '--out', lab.path('wrong'))
  assert.equal(wrong.exitCode, 1)
  assert.match(wrong.stderr, /not on record as a host key of host-b/)
  const key = join(lab.folder, 'support.key')
  execFileSync('age-keygen', ['-o', key], { stdio: 'ignore' })
  const recipient = execFileSync('age-keygen', ['-y', key], { encoding: 'utf8' }).trim()
  const system = lab.path('system.age')
  await lab.json('system', 'support-bundle', '--out', system, '--recipient', recipient)
  execFileSync('age', ['--decrypt', '-i', key, '-o', lab.path('system.tar.gz'), system])
  const own = await unpack(lab, lab.path('system.tar.gz'))
  assert.partialDeepStrictEqual(JSON.parse(own.get('database.json') ?? ''), { integrity: ['ok'] })
  assert.match(own.get('hosts.jsonl') ?? '', /"name":"host-a".*"connected":true/)
  assert.match(own.get('log.jsonl') ?? '', /"msg":"ready"/)
  assert.match(own.get('tasks.jsonl') ?? '', /"type":"vm\.encrypt"/)
  const taken = await lab.events('--type', 'support-bundle.taken')
  assert.equal(taken.length, 2)
  assert.match(JSON.stringify(taken), /sealed to host key/)
  assert.equal((await lab.events('--type', 'support-bundle.opened')).length, 1)
})
