import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { RestError } from '@cryptvisor/rest'
import { Interrupt } from '../interrupt.ts'
import { openDesk } from '../testing/desk.ts'

const raw = randomBytes(4096)
const volume = Buffer.concat([Buffer.from('LUKS\xba\xbe\0\x01', 'latin1'), randomBytes(4088)])
const hashOf = (content: Uint8Array) => createHash('sha256').update(content).digest('hex')

test('an image becomes a disk as it is', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { exitCode, stderr } = await desk.run(['disk', 'import', 'db1', desk.file('a.img', raw)])
  assert.equal(exitCode, 0, stderr)
  assert.deepEqual(fake.changes, [
    { call: 'POST /api/v1/vms/db1/disks/import', body: { format: 'raw', contentBytes: 4096 } },
    { call: 'PUT /api/v1/tasks/task-1/content', body: undefined },
  ])
  assert.deepEqual(fake.contents, [hashOf(raw)])
})

test('a LUKS volume becomes a disk: announced, its passphrase, its content', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { exitCode, stderr } = await desk.run([
    ...['disk', 'import', 'db1', desk.file('old.luks', volume), '--luks', '--adopt', '--format', 'qcow2'],
    ...['--passphrase-file', desk.file('passphrase', 'open sesame\n'), '--policy', encryptionPolicy, '--thin'],
    ...['--no-verify', '--limit', '1MiB/s'],
  ])
  assert.equal(exitCode, 0, stderr)
  assert.deepEqual(fake.changes, [
    {
      call: 'POST /api/v1/vms/db1/disks/import-volume',
      body: {
        format: 'qcow2',
        contentBytes: volume.length,
        mode: 'adopt',
        policy: encryptionPolicy,
        thin: true,
        verify: false,
        bytesPerSecondMax: 1_048_576,
      },
    },
    { call: 'PUT /api/v1/tasks/task-1/passphrase', body: undefined },
    { call: 'PUT /api/v1/tasks/task-1/content', body: undefined },
  ])
  assert.deepEqual(fake.passphrases, ['open sesame\n'], 'every byte of the file')
  assert.deepEqual(fake.contents, [hashOf(volume)])
})

test('what is wrong is said before anything is announced', async (context) => {
  const { desk, fake } = await openDesk(context)
  const luks = desk.file('v.img', volume)
  const image = desk.file('a.img', raw)
  for (const [args, reason] of [
    [[luks], /begins like a LUKS image, and no format was given\n {2}.*cryptvisor disk import VM FILE --luks/],
    [[image, '--luks'], /is not a LUKS volume/],
    [[image, '--adopt'], /--adopt: goes with --luks only/],
    [[image, '--thin'], /--thin: goes with --luks only/],
    [[image, '--no-verify'], /--no-verify: goes with --luks only/],
    [[luks, '--luks'], /no terminal to ask for the passphrase on\n {2}.*--passphrase-file/],
    [[luks, '--luks', '--passphrase-file', desk.file('empty', '')], /does not hold 1 to 8192 bytes/],
    [[luks, '--luks', '--passphrase-file', desk.file('long', 'x'.repeat(8193))], /does not hold 1 to 8192 bytes/],
    [[luks, '--luks', '--passphrase-file', `${desk.folder}/none`], /cannot be read: ENOENT/],
  ] as const) {
    const { exitCode, stderr } = await desk.run(['disk', 'import', 'db1', ...args])
    assert.equal(exitCode, 2, stderr)
    assert.match(stderr, reason)
  }
  assert.deepEqual(fake.calls, [])
})

test('an import whose passphrase is refused does not wait on', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.refusals.set('PUT /api/v1/tasks/task-1/passphrase', new RestError(400, 'invalid', 'it opens nothing'))
  const files = [desk.file('v.img', volume), '--luks', '--passphrase-file', desk.file('p', 'x')]
  const { exitCode, stderr } = await desk.run(['disk', 'import', 'db1', ...files])
  assert.equal(exitCode, 1)
  assert.match(stderr, /it opens nothing/)
  assert.deepEqual(fake.changes.at(-1)?.call, 'POST /api/v1/tasks/task-1/cancel')
})

test('Ctrl-C while the passphrase waits for the host cancels the import', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.passphraseWaits = true
  const interrupt = new Interrupt(() => assert.fail('one Ctrl-C ends the work, and not the program'))
  const files = [desk.file('v.img', volume), '--luks', '--passphrase-file', desk.file('p', 'x')]
  const running = desk.run(['disk', 'import', 'db1', ...files], { interrupt })
  while (fake.passphrases.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  interrupt.fire()
  const { exitCode, stderr } = await running
  assert.equal(exitCode, 130, stderr)
  assert.deepEqual(fake.changes.at(-1)?.call, 'POST /api/v1/tasks/task-1/cancel')
})
