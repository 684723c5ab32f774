import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plainPolicy } from '@cryptvisor/control-plane-api'
import { CertificateAuthority } from '@cryptvisor/pki'
import { RestError } from '@cryptvisor/rest'
import { openDesk } from '../testing/desk.ts'

/** Wrong uses: what was wrong, and what to do next. */
const wrongUses: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [['vmm'], /^cryptvisor: unknown command 'vmm'\n {2}Did you mean vm\? \(see cryptvisor --help\)\n$/],
  [['vm', 'enc', 'db1'], /unknown command 'enc'\n/],
  [['vm', 'encrypt'], /missing required argument 'vm'\n {2}see cryptvisor vm encrypt --help\n/],
  [['vm', 'encrypt', 'db1', '--force'], /unknown option '--force'\n/],
  [['vm', 'encrypt', 'db1', 'db2'], /too many arguments for 'encrypt'. Expected 1 argument but got 2\n/],
  [['vm', 'encrypt', 'db1', '--disk'], /option '--disk <n>' argument missing\n/],
  [['vm', 'encrypt', 'db1', '--disk', '-1'], /--disk -1: disks count from 0; /],
  [['vm', 'decrypt', 'db1', '--disk=-1'], /--disk -1: disks count from 0; /],
  [['vm', 'encrypt', 'db1', '--disk', '1.5'], /--disk 1.5: disks count from 0; /],
  [['vm', 'encrypt', 'db1', '--disk', '0x1'], /--disk 0x1: disks count from 0; /],
  [['vm', 'encrypt', 'db1', '--disk', '64'], /--disk 64: disks count from 0; give a whole number from 0 to 63/],
  [['vm', 'encrypt', 'db1', '--disk', ''], /--disk : disks count from 0; /],
  [['vm', 'decrypt', 'db1', '--disk', '1', '--disk', '01'], /--disk 01: disk 1 is named twice/],
  [['vm', 'encrypt', 'db1', '--policy', plainPolicy], /--policy: "Datastore Default" does not encrypt\n.*vm decrypt/],
  [['vm', 'create', 'db1', '--disk', '10GB'], /--disk 10GB: give a size /],
  [['vm', 'create', 'db1', '--memory', '1.5'], /--memory 1.5: give a whole number from 16 /],
  [['vm', 'create', 'db1', '--firmware', 'efi'], /--firmware efi: /],
  [['disk', 'add', 'db1'], /--size: is missing\n/],
  [['host', 'enroll', 'h'], /--cluster: is missing\n/],
  [['role', 'add', 'r', '--privilege', 'a', '--privilege', 'a'], /--privilege a: it is given twice/],
  [['user', 'change', 'kim'], /nothing to change was given\n/],
  [['user', 'add', 'kim', '--role', 'r', '--password-stdin', '--password-file', 'f'], /cannot be used with/],
  [['key-provider', 'add', 'k', '--server', 'a:b'], /--server a:b: give HOST:PORT/],
  [['--url', 'http://127.0.0.1:1', 'vm', 'list'], /--url: is not the URL of a control plane\n.*https:/],
  [['--url', 'https://user@127.0.0.1:1', 'vm', 'list'], /--url: is not the URL of a control plane\n/],
  [['--url', 'https://127.0.0.1:1/api', 'vm', 'list'], /--url: is not the URL of a control plane\n/],
  [['--url', 'https://127.0.0.1:1', 'vm', 'list'], /--ca: is missing, and https:\/\/127.0.0.1:1 is not the URL/],
  [['--ca', '/no/such/file', 'vm', 'list'], /--ca: \/no\/such\/file cannot be read: ENOENT\n/],
]

test('a wrong use exits with 2, says why and what to do, and changes nothing', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const [args, message] of wrongUses) {
    await context.test(args.join(' '), async () => {
      const { exitCode, stdout, stderr } = await desk.run(args)
      assert.match(stderr, message)
      assert.match(stderr, /^cryptvisor: .+\n( {2}.+\n)?$/)
      assert.equal(exitCode, 2)
      assert.equal(stdout, '')
    })
  }
  assert.deepEqual(fake.changes, [])
})

test('help and version are asked for with 0; a missing command is a wrong use', async (context) => {
  const { desk } = await openDesk(context)
  for (const args of [
    ['--help'],
    ['vm', '--help'],
    ['help', 'vm', 'encrypt'],
    ['vm', 'encrypt', '-h'],
    ['--version'],
  ]) {
    const { exitCode, stdout, stderr } = await desk.run(args)
    assert.equal(exitCode, 0)
    assert.notEqual(stdout, '')
    assert.equal(stderr, '')
  }
  for (const args of [[], ['vm']]) {
    const { exitCode, stdout, stderr } = await desk.run(args)
    assert.equal(exitCode, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /^Usage: cryptvisor/)
  }
})

test('the service refuses: 1, with its text and the command that helps', async (context) => {
  const { desk, fake } = await openDesk(context)
  const refuse = (status: 403 | 404 | 409 | 500, code: string, field?: string) =>
    fake.refusals.set(
      'POST /api/v1/vms/db1/policy',
      new RestError(status, code, `the text of ${code}`, field === undefined ? {} : { field }),
    )
  const encrypt = () => desk.run(['vm', 'encrypt', 'db1'])
  refuse(409, 'vm-busy')
  assert.deepEqual(await encrypt(), { exitCode: 1, stdout: '', stderr: 'cryptvisor: the text of vm-busy\n' })
  refuse(403, 'no-privilege')
  assert.match((await encrypt()).stderr, /\n.*cryptvisor whoami\n$/)
  refuse(404, 'not-found')
  assert.match((await encrypt()).stderr, /\n.*cryptvisor vm list\n$/)
  refuse(404, 'not-found', 'keyProvider')
  assert.match((await encrypt()).stderr, /\n.*cryptvisor key-provider list\n$/)
  refuse(404, 'not-found', 'disks.0')
  assert.match((await encrypt()).stderr, /\n.*cryptvisor disk list VM\n$/)
  refuse(404, 'not-found', 'disks.0.policy')
  assert.match((await encrypt()).stderr, /\n.*cryptvisor policy list\n$/)
  refuse(500, 'internal')
  const internal = await encrypt()
  assert.equal(internal.exitCode, 1)
  assert.match(internal.stderr, /log has the cause\n$/)
})

test('nobody there, or somebody else: 3', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { authority, privateKey } = await CertificateAuthority.create('another CA', 1, () => new Date())
  privateKey[Symbol.dispose]()
  const other = desk.file('other.pem', authority.certificate)
  const untrusted = await desk.run(['vm', 'list', '--ca', other])
  assert.equal(untrusted.exitCode, 3)
  assert.match(untrusted.stderr, /is not trusted.*\n {2}check that --ca /)
  assert.deepEqual(fake.calls, [], 'the token went to nobody')
  await fake[Symbol.asyncDispose]()
  const gone = await desk.run(['vm', 'list', '--json'])
  assert.equal(gone.exitCode, 3)
  // Anything but an error of this shape fails the assertion.
  assert.equal((JSON.parse(gone.stderr) as { error: { code: string } }).error.code, 'unreachable')
  const verbose = await desk.run(['vm', 'list', '--verbose'])
  assert.match(verbose.stderr, /\n {2}because: connect ECONNREFUSED \S+\n$/)
})

test('no session, or one that has ended: 4', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.tokens.clear()
  const ended = await desk.run(['vm', 'list'])
  assert.equal(ended.exitCode, 4)
  assert.match(ended.stderr, /^cryptvisor: you are not logged in\n {2}log in: cryptvisor login\n$/)
  desk.writeConfig({ url: fake.url, ca: fake.ca })
  const none = await desk.run(['vm', 'list'])
  assert.equal(none.exitCode, 4)
  assert.match(none.stderr, /^cryptvisor: not logged in to https:.*\n {2}log in: cryptvisor login --url URL /)
  const nowhere = await desk.run(['vm', 'list', '--config', '/no/such/file'])
  assert.equal(nowhere.exitCode, 4)
  assert.match(nowhere.stderr, /^cryptvisor: no control plane is known\n/)
})
