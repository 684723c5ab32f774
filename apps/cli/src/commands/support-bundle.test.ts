import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { hostKeyPairOf, openBundleKey, parseSealedHeader, sealBundle } from '@cryptvisor/support-bundle'
import { temporaryFolder } from '@cryptvisor/testkit'
import { openDesk } from '../testing/desk.ts'

const password = 'correct horse battery staple'

/** Opens a file with age(1), which asks for passwords on a terminal only: script(1) makes one. */
async function openWithAge(path: string, out: string): Promise<void> {
  const child = spawn('script', ['-qec', `age --decrypt -o ${out} ${path}`, '/dev/null'], {
    stdio: 'pipe',
    env: process.env,
  })
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    // Typed when it asks: what is typed before it turned the echo off is thrown away.
    if (!shown.includes('passphrase') && (shown + text).includes('passphrase')) child.stdin.write(`${password}\n`)
    shown += text
  })
  const [exitCode] = await once(child, 'close')
  assert.equal(exitCode, 0, shown)
}

test('sealed to a password it opens with age and without us', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = randomBytes(300_000)
  const [path, opened] = ['bundle.age', 'bundle.tar.gz'].map((name) => join(desk.folder, name)) as [string, string]
  const command = ['host', 'support-bundle', 'host-b', '--out', path, '--password-stdin']
  const { exitCode, stdout, stderr } = await desk.run(command, { stdin: `${password}\n` })
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /sealed to the password/)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(fake.changes.at(-1), {
    call: 'POST /api/v1/hosts/host-b/support-bundle',
    body: { sealing: 'password' },
  })
  assert.ok(!JSON.stringify(fake.calls).includes('battery'))
  const bytes = readFileSync(path)
  assert.ok(
    bytes.subarray(0, 21).toString() === 'age-encryption.org/v1' && !bytes.includes(fake.exported.subarray(0, 32)),
  )
  await openWithAge(path, opened)
  assert.ok(readFileSync(opened).equals(fake.exported))
  assert.equal((await desk.run(command, { stdin: `${password}\n` })).exitCode, 2, 'it is there already')
})

test('sealed to recipients it opens with the key of each, with age', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = randomBytes(200_000)
  const keys = ['one.key', 'two.key'].map((name) => {
    const path = join(desk.folder, name)
    execFileSync('age-keygen', ['-o', path], { stdio: 'ignore' })
    return { path, recipient: execFileSync('age-keygen', ['-y', path], { encoding: 'utf8' }).trim() }
  })
  const path = join(desk.folder, 'system.age')
  const recipients = keys.flatMap(({ recipient }) => ['--recipient', recipient])
  const { exitCode, stderr } = await desk.run(['system', 'support-bundle', '--out', path, ...recipients])
  assert.equal(exitCode, 0, stderr)
  for (const key of keys) assert.ok(execFileSync('age', ['--decrypt', '-i', key.path, path]).equals(fake.exported))
  const calls = fake.changes.length
  const other = join(desk.folder, 'other.age')
  assert.equal(
    (await desk.run(['system', 'support-bundle', '--out', other, '--recipient', 'age1nonsense'])).exitCode,
    2,
  )
  assert.equal(fake.changes.length, calls, 'nothing was taken')
  execFileSync('age-keygen', ['-o', join(desk.folder, 'third.key')], { stdio: 'ignore' })
  assert.notEqual(spawnSync('age', ['--decrypt', '-i', join(desk.folder, 'third.key'), path]).status, 0)
})

test('a connection that breaks off leaves no file, whatever it is sealed to', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = randomBytes(200_000)
  fake.exportBreaksOff = true
  const before = readdirSync(desk.folder)
  const path = join(desk.folder, 'x.bundle')
  for (const [options, stdin] of [
    [[], ''],
    [['--plain'], ''],
    [['--password-stdin'], password],
  ] as const) {
    const { exitCode } = await desk.run(['host', 'support-bundle', 'host-b', '--out', path, ...options], { stdin })
    assert.equal(exitCode, 3, options.join(' '))
    assert.deepEqual(readdirSync(desk.folder), before)
  }
})

test('a bundle of a host is sealed to its key and opened with the key of that one bundle', async (context) => {
  const { desk, fake } = await openDesk(context)
  const content = randomBytes(2_300_000)
  using hostKey = Secret.random(32)
  const identity = { host: 'host-b', key: { provider: 'kms', keyId: '7' }, createdAt: '2026-11-24T19:00:00.000Z' }
  const chunks = async function* () {
    yield content
  }
  fake.exported = await buffer(sealBundle(identity, hostKeyPairOf(hostKey).publicKey, chunks()))
  const [path, out] = ['b.bundle', 'b.tar.gz'].map((name) => join(desk.folder, name)) as [string, string]
  const taken = await desk.run(['host', 'support-bundle', 'host-b', '--out', path])
  assert.equal(taken.exitCode, 0, taken.stderr)
  assert.match(taken.stderr, /host decrypt-bundle host-b/)
  assert.deepEqual(fake.changes.at(-1)?.body, { sealing: 'host-key' })
  assert.ok(readFileSync(path).equals(fake.exported))
  const { header } = parseSealedHeader(fake.exported)
  using key = openBundleKey(header, hostKey)
  fake.bundleKey = key.expose((bytes) => Buffer.from(bytes))
  const opened = await desk.run(['host', 'decrypt-bundle', 'host-b', path, '--out', out])
  assert.equal(opened.exitCode, 0, opened.stderr)
  assert.ok(readFileSync(out).equals(content))
  // The header alone was sent.
  assert.deepEqual(fake.changes.at(-1)?.body, { header: JSON.stringify(header) })
  const other = join(desk.folder, 'c.tar.gz')
  writeFileSync(path, fake.exported.subarray(0, -1))
  for (const wrong of [path, join(desk.folder, 'nowhere'), out]) {
    const { exitCode, stderr } = await desk.run(['host', 'decrypt-bundle', 'host-b', wrong, '--out', other])
    assert.equal(exitCode, 2, stderr)
    assert.ok(!existsSync(other) && !existsSync(`${other}.part`))
  }
})

test('nothing is written plain unless that is said, and then with a warning', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.exported = randomBytes(1000)
  const path = join(temporaryFolder(context), 'x.tar.gz')
  const without = await desk.run(['system', 'support-bundle', '--out', path])
  assert.equal(without.exitCode, 2)
  assert.match(without.stderr, /nothing says what the bundle is sealed to/)
  for (const two of [
    ['--plain', '--password-stdin'],
    ['--plain', '--recipient', 'age1x'],
    ['--password-stdin', '--recipient', 'age1x'],
  ]) {
    assert.equal((await desk.run(['system', 'support-bundle', '--out', path, ...two], { stdin: password })).exitCode, 2)
  }
  assert.equal(
    (await desk.run(['system', 'support-bundle', '--out', path, '--password-stdin'], { stdin: 'short' })).exitCode,
    2,
  )
  assert.deepEqual(fake.changes, [])
  const { exitCode, stderr } = await desk.run(['system', 'support-bundle', '--out', path, '--plain'])
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /it is not sealed/)
  assert.ok(readFileSync(path).equals(fake.exported))
  const shown = await desk.run(['host', 'support-bundle', 'host-b', '--out', path, '--dry-run'])
  assert.match(
    shown.stdout,
    /nothing was taken[\s\S]*host\/log\.jsonl[\s\S]*manifest\.json[\s\S]*host key kms\/host-key/,
  )
})
