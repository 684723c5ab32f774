import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { KeyProvider, Vm } from '@cryptvisor/control-plane-api'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, run, sha256, succeed } from './lab-under-test.ts'

const mib = 1_048_576
const password = 'correct horse battery staple'

const show = (lab: LabUnderTest, name: string) => lab.json<KeyProvider>('key-provider', 'show', name)

async function importVm(lab: LabUnderTest, name: string): Promise<void> {
  const image = lab.path(`${name}.img`)
  makeRawImage(image, 4 * mib, knownText())
  await lab.json('vm', 'import', name, '--disk', image)
}

function docsScript(page: string, name: string): string {
  const docs = readFileSync(new URL(`../docs/${page}`, import.meta.url), 'utf8')
  const script = new RegExp(`\`\`\`sh ${name}\\n([\\s\\S]*?)\`\`\``).exec(docs)?.[1]
  assert.ok(script !== undefined, `${page} has ${name}`)
  return script
}

test('a native provider: unusable before its backup, then VMs are encrypted with it, and the backup alone opens a disk', async (context) => {
  const lab = await LabUnderTest.start(context)
  await lab.json('key-provider', 'add', 'nkp', '--native')
  await importVm(lab, 'web')
  const sum = await sha256(lab.path('web.img'))
  const early = await lab.cryptvisor('vm', 'encrypt', 'web', '--key-provider', 'nkp')
  assert.equal(early.exitCode, 1)
  assert.match(early.stderr, /key-provider backup nkp/)
  assert.equal((await lab.vm('web')).encryption, 'plain')
  assert.equal((await lab.cryptvisor('key-provider', 'default', 'set', 'nkp')).exitCode, 1)

  const secret = lab.path('password')
  writeFileSync(secret, `${password}\n`, { mode: 0o600 })
  const backup = lab.path('nkp.p12')
  await lab.json('key-provider', 'backup', 'nkp', '--out', backup, '--password-file', secret)
  assert.equal(statSync(backup).mode & 0o077, 0)
  const { stdout, stderr } = await run(
    'openssl',
    ['pkcs12', '-info', '-noenc', '-in', backup, '-passin', 'stdin'],
    password,
  )
  assert.match(stderr, /PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256/)
  assert.match(stdout, /friendlyName: cryptvisor-native-key-provider\/1\/nkp\/1/)

  await lab.json('vm', 'encrypt', 'web', '--key-provider', 'nkp')
  const vm = await lab.vm('web')
  assert.equal(vm.home.key?.provider, 'nkp')
  assert.equal((await show(lab, 'nkp')).native?.generations[0]?.keyCount, 1)

  // The host comes back without keys, and is given them again.
  await lab.lab.stop('host-a')
  await lab.lab.start('host-a')
  await eventually('the VM to be unlocked', async () => {
    const { lock } = await lab.json<Vm>('vm', 'show', 'web')
    return lock.state === 'unlocked' || null
  })

  const disk = vm.disks[0]?.path ?? ''
  const kid = `nkp/${vm.home.key.keyId}`
  const image = lab.path('recovered.img')
  await succeed(
    'sh',
    ['-c', docsScript('native-provider.md', 'recover-native-disk.sh'), 'recover', backup, disk, image],
    password,
  )
  assert.equal(await sha256(image), sum)
  const derive = docsScript('native-provider.md', 'derive-key.sh')
  const wrong = await run('sh', ['-c', derive, 'derive-key.sh', backup, kid], 'another password')
  assert.notEqual(wrong.exitCode, 0)

  await lab.json('vm', 'decrypt', 'web')
  await lab.json('vm', 'delete', 'web')
})

test('wrapping keys: few keys in the key server, another one by rotation, and VMs move by a rekey', async (context) => {
  const lab = await LabUnderTest.start(context)
  const wrapped = await lab.json<KeyProvider>('key-provider', 'key-type', 'lab-kms', 'wrapped', '--rotation-days', '90')
  assert.equal(wrapped.wrapping?.rotationDays, 90)
  for (const name of ['one', 'two']) {
    await importVm(lab, name)
    await lab.json('vm', 'encrypt', name)
  }
  const first = (await show(lab, 'lab-kms')).wrapping?.keyId
  const keyOf = async (name: string) => (await lab.vm(name)).home.key?.keyId
  assert.deepEqual([await keyOf('one'), await keyOf('two')], [first, first])
  const ofVms = (await lab.keys()).filter(({ usedBy }) => usedBy.some(({ kind }) => kind === 'vm'))
  assert.equal(ofVms.length, 1, 'one key for both')

  await lab.json('key-provider', 'rotate-wrapping-key', 'lab-kms')
  const second = (await show(lab, 'lab-kms')).wrapping?.keyId
  assert.notEqual(second, first)
  assert.equal(await keyOf('one'), first)
  await lab.json('vm', 'rekey', 'one')
  assert.equal(await keyOf('one'), second)
  assert.equal((await lab.vm('one')).lock.state, 'unlocked')
  await lab.json('vm', 'rekey', 'one', '--deep')
  await lab.json('vm', 'delete', 'one')
  assert.equal((await lab.vm('two')).lock.state, 'unlocked', 'the other VM keeps its key')
  await lab.json('vm', 'decrypt', 'two')
})
