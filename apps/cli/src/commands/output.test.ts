import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestError } from '@cryptvisor/rest'
import { cannedEvent, cannedHost, cannedKey, cannedVm } from '../testing/canned.ts'
import { cannedKeyPersistence } from '../testing/canned-hosts.ts'
import { openDesk } from '../testing/desk.ts'

const reading = [
  ['whoami', 'name'],
  ['cluster list', 'hosts'],
  ['datastore list', 'path'],
  ['host list', 'hardwareUuid'],
  ['host show host-a', 'hardwareUuid'],
  ['policy list', 'encryption'],
  ['key-provider list', 'servers'],
  ['key-provider status', 'health'],
  ['key-provider show kms', 'clientTrust'],
  ['key-provider trust show kms', 'rootCaPem'],
  ['key-provider default show', 'system'],
  ['keys list', 'usedBy'],
  ['keys show kek-1', 'attributes'],
  ['user list', 'role'],
  ['role list', 'privileges'],
  ['token list', 'lastUsedAt'],
  ['vm list', 'disks'],
  ['vm show db1', 'lock'],
  ['disk list db1', 'layerId'],
  ['task list', 'doneBytes'],
  ['event list', 'severity'],
] as const

const changing = [
  ['cluster add new', 'name'],
  ['cluster remove old', 'removed'],
  ['datastore add fast --cluster main --path /srv', 'path'],
  ['host enroll host-c --cluster main', 'token'],
  ['key-provider default kms', 'isDefault'],
  ['key-provider default clear', 'cleared'],
  ['key-provider trust csr kms', 'next'],
  ['key-provider server remove kms kms-1', 'servers'],
  ['user change kim --role Admin', 'role'],
  ['role add Ops --privilege System.Read', 'privileges'],
  ['token add ci', 'token'],
  ['token remove backup', 'removed'],
  ['vm create db1', 'state'],
  ['vm create db1 --no-wait', 'state'],
  ['vm encrypt db1', 'key'],
  ['vm decrypt db1', 'progressPercent'],
  ['vm unlock db1', 'lock'],
  ['vm delete db1', 'target'],
  ['disk add db1 --size 1M', 'target'],
] as const

test('--json prints exactly one JSON value and says nothing else', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.events.push(cannedEvent(1))
  await desk.run(['vm', 'create', 'first'])
  for (const [line, member] of [...reading, ...changing]) {
    await context.test(line, async () => {
      const { exitCode, stdout, stderr } = await desk.run(['--json', ...line.split(' ')])
      assert.equal(exitCode, 0, stderr)
      assert.equal(stderr, '')
      const value: unknown = JSON.parse(stdout)
      assert.equal(Array.isArray(value), line.includes(' list'), 'a list is an array')
      // A JSON text that is neither an object nor an array of them fails the next line.
      const [first] = (Array.isArray(value) ? value : [value]) as object[]
      assert.ok(first !== undefined && Object.hasOwn(first, member), stdout)
    })
  }
})

test('--json gives the answer as it is', async (context) => {
  const { desk } = await openDesk(context)
  const show = await desk.run(['vm', 'show', 'db1', '--json'])
  assert.deepEqual(JSON.parse(show.stdout), cannedVm('db1', false))
  const key = await desk.run(['keys', 'show', 'kms', 'kek-1', '--json'])
  assert.deepEqual(JSON.parse(key.stdout), cannedKey)
})

test('--json works before, between and after the words of a command', async (context) => {
  const { desk } = await openDesk(context)
  const outputs = await Promise.all(
    [
      ['--json', 'host', 'show', 'host-a'],
      ['host', '--json', 'show', 'host-a'],
      ['host', 'show', '--json', 'host-a'],
      ['host', 'show', 'host-a', '--json'],
    ].map((args) => desk.run(args)),
  )
  for (const { stdout } of outputs) {
    assert.deepEqual(JSON.parse(stdout), { ...cannedHost, keyPersistence: cannedKeyPersistence })
  }
})

test('with --json an error is JSON on standard error, and standard output is empty', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.refusals.set('POST /api/v1/clusters', new RestError(409, 'already-exists', 'there is one', { field: 'name' }))
  const refused = await desk.run(['cluster', 'add', 'main', '--json'])
  assert.equal(refused.stdout, '')
  assert.deepEqual(JSON.parse(refused.stderr), {
    error: { code: 'already-exists', message: 'there is one', field: 'name' },
  })
  for (const args of [
    ['vm', '--json'],
    ['--json'],
    ['--json', 'vm', 'encrypt'],
    ['vm', 'encrypt', 'a', '--no', '--json'],
  ]) {
    const wrong = await desk.run(args)
    assert.equal(wrong.exitCode, 2)
    assert.equal(wrong.stdout, '')
    // Anything but an error of this shape fails the assertion.
    assert.equal((JSON.parse(wrong.stderr) as { error: { code: string } }).error.code, 'usage')
  }
})

test('vm show tells people everything', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.encrypted = true
  const { stdout } = await desk.run(['vm', 'show', 'db1'])
  for (const pattern of [
    /^ID: +id-of-db1$/m,
    /^host: +host-a$/m,
    /^lock: +locked$/m,
    /^reason: +host-a does not hold the key$/m,
    /^missing key: +kms\/kek-1$/m,
    /^VM Home$/m,
    /^disk 0: 1\.5 GiB, raw$/m,
    /^disk 1: 1\.5 GiB, raw$/m,
    /^ {2}policy: +VM Encryption Policy$/m,
    /^ {2}encrypted: +yes$/m,
    /^ {2}encrypted: +no$/m,
    /^ {2}key: +kms\/kek-1$/m,
    /^ {2}LUKS UUID: +3b2f0a4e-/m,
    /^ {2}path: +\/srv\/vms\/db1\/layer-0\.luks$/m,
  ]) {
    assert.match(stdout, pattern)
  }
})

test('keys show lists all attributes, the x- ones too, and cannot clear the screen', async (context) => {
  const { desk } = await openDesk(context)
  const { stdout } = await desk.run(['keys', 'show', 'kek-1'])
  assert.match(stdout, /^state: +Active$/m)
  assert.match(stdout, /^used by: +vm db1$/m)
  assert.match(stdout, /^x-Component +0 +TextString +Virtual Machine$/m)
  assert.match(stdout, /^Cryptographic Usage Mask +0 +Integer +12$/m)
  assert.ok(!stdout.includes('\u001b'))
  const list = await desk.run(['keys', 'list'])
  assert.match(list.stdout, /^kms +kek-2 +missing +AES 256 +nothing \(orphan\)$/m)
})

test('a key ID that two providers know is ambiguous, and one that none knows is not there', async (context) => {
  const { desk } = await openDesk(context)
  const both = await desk.run(['keys', 'show', 'both'])
  assert.equal(both.exitCode, 1)
  assert.match(both.stderr, /several key providers know a key both\n {2}say which: cryptvisor keys show kms both or /)
  const none = await desk.run(['keys', 'show', 'none'])
  assert.equal(none.exitCode, 1)
  assert.match(none.stderr, /no key provider knows a key none\n {2}see what there is: cryptvisor keys list\n/)
  const token = await desk.run(['token', 'remove', 'twice'])
  assert.equal(token.exitCode, 1)
  assert.match(token.stderr, /2 tokens are called twice\n/)
})

test('tokens are alone on standard output', async (context) => {
  const { desk } = await openDesk(context)
  const enrolled = await desk.run(['host', 'enroll', 'host-c', '--cluster', 'main'])
  assert.equal(enrolled.stdout, 'enrolment-token-value\n')
  assert.match(enrolled.stderr, /host-agent enroll --dir DIR --url-host host-c /)
  const made = await desk.run(['token', 'add', 'ci'])
  assert.equal(made.stdout, 'api-token-value\n')
  assert.match(made.stderr, /CRYPTVISOR_TOKEN_FILE/)
})

test('people see events oldest first', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.events.push(cannedEvent(1), cannedEvent(2, { severity: 'error', text: 'second\nline' }))
  const { stdout } = await desk.run(['event', 'list'])
  const lines = stdout.split('\n')
  assert.match(lines[0] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}info {5}kms\.crypto\.key-created: event 1 \(vm=db1 /)
  assert.match(lines[1] ?? '', /error {4}kms\.crypto\.key-created: second\\u000aline /)
})

test('colours are for terminals, and never with NO_COLOR', async (context) => {
  const { desk } = await openDesk(context)
  const colour = '\u001b[32mconnected'
  assert.ok((await desk.run(['host', 'list'], { terminal: true })).stdout.includes(colour))
  for (const options of [
    {},
    { terminal: true, environment: { NO_COLOR: '1' } },
    { terminal: true, environment: { TERM: 'dumb' } },
  ]) {
    assert.ok(!(await desk.run(['host', 'list'], options)).stdout.includes('\u001b'))
  }
})
