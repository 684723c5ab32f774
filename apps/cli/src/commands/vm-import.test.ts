import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { appendFileSync, mkdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { RestError } from '@cryptvisor/rest'
import { Interrupt } from '../interrupt.ts'
import { openDesk } from '../testing/desk.ts'

/** Larger than one piece, and no multiple of one. */
const raw = randomBytes(3 * 1_048_576 + 512)
const qcow2 = Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), randomBytes(1020)])

const removed = { call: 'DELETE /api/v1/vms/id-of-db1', body: undefined }

test('an import creates the VM and sends each image whole', async (context) => {
  const { desk, fake } = await openDesk(context)
  const files = [desk.file('a.img', raw), desk.file('b.QCOW2', qcow2)]
  const { exitCode, stdout, stderr } = await desk.run([
    ...['vm', 'import', 'db1', '--disk', files[0] ?? '', '--disk', files[1] ?? '', '--json'],
    ...[
      '--host',
      'host-a',
      '--cluster',
      'main',
      '--datastore',
      'fast',
      '--notes',
      'n',
      '--memory',
      '64',
      '--cpus',
      '1',
    ],
  ])
  assert.equal(exitCode, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), fake.find('task-3'))
  assert.equal(fake.find('task-3').state, 'success')
  const placement = { host: 'host-a', cluster: 'main', datastore: 'fast', notes: 'n', memoryMib: 64, cpuCount: 1 }
  assert.deepEqual(fake.changes, [
    { call: 'POST /api/v1/vms', body: { name: 'db1', ...placement } },
    { call: 'POST /api/v1/vms/id-of-db1/disks/import', body: { format: 'raw', contentBytes: raw.length } },
    { call: 'PUT /api/v1/tasks/task-2/content', body: undefined },
    { call: 'POST /api/v1/vms/id-of-db1/disks/import', body: { format: 'qcow2', contentBytes: qcow2.length } },
    { call: 'PUT /api/v1/tasks/task-3/content', body: undefined },
  ])
  assert.deepEqual(
    fake.contents,
    [raw, qcow2].map((content) => createHash('sha256').update(content).digest('hex')),
  )
})

test('with an encryption policy it is encrypted when all is there', async (context) => {
  const { desk, fake } = await openDesk(context)
  const file = desk.file('a.img', raw)
  const { exitCode, stdout } = await desk.run([
    ...['vm', 'import', 'db1', '--disk', file, '--policy', encryptionPolicy, '--key-provider', 'other'],
  ])
  assert.equal(exitCode, 0)
  assert.equal(stdout, 'vm.encrypt of id-of-db1: done; its key is kms/kek-1\n')
  assert.deepEqual(fake.changes[0], { call: 'POST /api/v1/vms', body: { name: 'db1' } })
  assert.deepEqual(fake.changes.at(-1), {
    call: 'POST /api/v1/vms/id-of-db1/policy',
    body: { policy: encryptionPolicy, keyProvider: 'other' },
  })
})

test('--no-wait does not wait for the task that comes last', async (context) => {
  const { desk, fake } = await openDesk(context)
  const file = desk.file('a.img', raw)
  fake.endings.set('vm.encrypt', 'never')
  const encrypted = ['vm', 'import', 'db1', '--disk', file, '--policy', encryptionPolicy, '--no-wait', '--json']
  const { exitCode, stdout } = await desk.run(encrypted)
  assert.equal(exitCode, 0)
  assert.deepEqual(JSON.parse(stdout), fake.find('task-3'))
  const plain = await desk.run(['vm', 'import', 'db1', '--disk', file, '--policy', plainPolicy, '--no-wait', '--json'])
  assert.equal(plain.exitCode, 0)
  assert.deepEqual(fake.changes.at(-1), { call: 'PUT /api/v1/tasks/task-5/content', body: undefined })
})

test('an image that cannot be one is refused before anything is made', async (context) => {
  const { desk, fake } = await openDesk(context)
  const good = desk.file('good.img', raw)
  mkdirSync(join(desk.folder, 'folder'))
  const like = (name: string, head: string) => desk.file(name, Buffer.concat([Buffer.from(head, 'latin1'), raw]))
  for (const [file, reason] of [
    [join(desk.folder, 'missing'), /does not exist/],
    [join(desk.folder, 'folder'), /is neither a regular file nor a block device/],
    ['/dev/null', /is neither a regular file nor a block device/],
    [desk.file('empty', ''), /is empty/],
    [desk.file('fake.qcow2', raw), /is not a qcow2 image\n {2}give --format raw/],
    [
      desk.file('hidden.img', qcow2),
      /begins like a qcow2 image, and no format was given\n {2}give --format qcow2, or /,
    ],
    [
      like('luks.img', 'LUKS\xba\xbe'),
      /begins like a LUKS image, and no format was given\n {2}.*disk import VM FILE --luks/,
    ],
    [like('x.vmdk', 'KDMV'), /begins like a VMDK image/],
    [like('y.vmdk', '# Disk DescriptorFile\n'), /begins like a VMDK image/],
    [like('x.vhdx', 'vhdxfile'), /begins like a VHDX image/],
  ] as const) {
    const { exitCode, stderr } = await desk.run(['vm', 'import', 'db1', '--disk', good, '--disk', file])
    assert.equal(exitCode, 2, file)
    assert.match(stderr, reason)
    assert.ok(stderr.includes(`--disk: ${file} `))
  }
  const twice = await desk.run(['vm', 'import', 'db1', '--disk', good, '--disk', good])
  assert.match(twice.stderr, /it is given twice/)
  const policy = await desk.run(['vm', 'import', 'db1', '--disk', good, '--policy', 'Gold'])
  assert.match(policy.stderr, /there is no storage policy "Gold"\n.*cryptvisor policy list/)
  const provider = await desk.run(['vm', 'import', 'db1', '--disk', good, '--key-provider', 'other'])
  assert.match(provider.stderr, /--key-provider: is of no use without/)
  assert.deepEqual(fake.changes, [])
})

test('with --format raw the beginning of an image does not count', async (context) => {
  const { desk, fake } = await openDesk(context)
  const file = desk.file('hidden.qcow2', qcow2)
  assert.equal((await desk.run(['vm', 'import', 'db1', '--disk', file, '--format', 'raw'])).exitCode, 0)
  assert.deepEqual(fake.changes[1]?.body, { format: 'raw', contentBytes: qcow2.length })
})

test('what the service refuses is shown, and the half-made VM is removed again', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.contentManner = 'refuse'
  const refused = await desk.run(['vm', 'import', 'db1', '--disk', desk.file('a.qcow2', qcow2), '--json'])
  assert.equal(refused.exitCode, 1)
  assert.equal(refused.stdout, '')
  // Anything but an error of this shape fails the assertion.
  const { error } = JSON.parse(refused.stderr) as { error: { code: string; message: string } }
  assert.equal(error.code, 'backing-file')
  assert.match(error.message, /the image has a backing file; the half-made VM db1 was removed again/)
  assert.deepEqual(fake.changes.at(-1), removed)
})

test('a service that breaks off while it is sent a large image still tells why', async (context) => {
  const { desk, fake } = await openDesk(context)
  const large = desk.file('large.img', '')
  truncateSync(large, 64 * 1_048_576)
  for (const manner of ['refuse', 'break'] as const) {
    fake.contentManner = manner
    const { exitCode, stderr } = await desk.run(['vm', 'import', 'db1', '--disk', large])
    assert.equal(exitCode, 1)
    assert.match(stderr, manner === 'refuse' ? /the image has a backing file/ : /the datastore is full/)
    assert.match(stderr, /; the half-made VM db1 was removed again\n/)
    assert.deepEqual(fake.changes.at(-1), removed)
  }
})

test('a failed import or encryption removes the VM; a VM of the same name that was there is left alone', async (context) => {
  const { desk, fake } = await openDesk(context)
  const args = ['vm', 'import', 'db1', '--disk', desk.file('a.img', raw), '--policy', encryptionPolicy]
  for (const type of ['vm.create', 'vm.import-disk', 'vm.encrypt']) {
    fake.endings.clear()
    fake.endings.set(type, { state: 'error', error: { code: 'agent-failed', message: `${type} went wrong` } })
    const { exitCode, stderr } = await desk.run(args)
    assert.equal(exitCode, 1)
    assert.ok(stderr.includes(`${type} went wrong; the half-made VM db1 was removed again\n`), stderr)
    assert.deepEqual(fake.changes.at(-1), removed)
  }
  fake.endings.clear()
  fake.calls.length = 0
  fake.refusals.set('POST /api/v1/vms/id-of-db1/policy', new RestError(403, 'no-privilege', 'you may not encrypt'))
  const forbidden = await desk.run(args)
  assert.match(forbidden.stderr, /you may not encrypt; the half-made VM db1 was removed again\n.*whoami\n/)
  fake.calls.length = 0
  fake.refusals.set('POST /api/v1/vms', new RestError(409, 'already-exists', 'there is a VM db1'))
  const { exitCode, stderr } = await desk.run(args)
  assert.deepEqual([exitCode, stderr], [1, 'cryptvisor: there is a VM db1\n'])
  assert.deepEqual(
    fake.changes.map(({ call }) => call),
    ['POST /api/v1/vms'],
  )
})

test('a VM that cannot be removed again is named, with what to do', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.contentManner = 'refuse'
  fake.refusals.set('DELETE /api/v1/vms/id-of-db1', new RestError(409, 'host-disconnected', 'host-a is away'))
  const { exitCode, stderr } = await desk.run(['vm', 'import', 'db1', '--disk', desk.file('a.img', raw)])
  assert.equal(exitCode, 1)
  assert.match(stderr, /the half-made VM db1 is still there\n {2}remove it: cryptvisor vm delete id-of-db1\n$/)
})

test('an image that becomes shorter while it is sent is not taken', async (context) => {
  const { desk, fake } = await openDesk(context)
  const file = desk.file('a.img', raw)
  let cut = false
  const { exitCode, stderr } = await desk.run(['vm', 'import', 'db1', '--disk', file, '--verbose'], {
    onOutput: (text) => {
      if (!cut && text.includes('sending disk 0')) truncateSync(file, 1000)
      cut ||= text.includes('sending disk 0')
    },
  })
  assert.ok(cut)
  assert.equal(exitCode, 2)
  assert.match(stderr, /a\.img became shorter while it was sent; the half-made VM db1 was removed again\n/)
  assert.deepEqual(fake.changes.at(-1), removed)
})

test('an image that grows is sent as it was when it was checked', async (context) => {
  const { desk, fake } = await openDesk(context)
  const file = desk.file('a.img', raw)
  const { exitCode } = await desk.run(['vm', 'import', 'db1', '--disk', file, '--verbose'], {
    onOutput: () => appendFileSync(file, 'more'),
  })
  assert.equal(exitCode, 0)
  assert.deepEqual(fake.contents, [createHash('sha256').update(raw).digest('hex')])
})

test('Ctrl-C while an image is sent removes the VM; while it is encrypted it leaves the task', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.endings.set('vm.encrypt', 'never')
  const args = ['vm', 'import', 'db1', '--disk', desk.file('a.img', raw), '--policy', encryptionPolicy, '--verbose']
  const interruptAt = (word: string) => {
    const interrupt = new Interrupt(() => assert.fail('the program would have ended'))
    let fired = false
    return desk.run(args, {
      interrupt,
      onOutput: (text) => {
        if (fired || !text.includes(word)) return
        fired = true
        interrupt.fire()
      },
    })
  }
  const sending = await interruptAt('sending disk 0')
  assert.equal(sending.exitCode, 130)
  assert.match(sending.stderr, /cryptvisor: the import was interrupted; the half-made VM db1 was removed again\n/)
  assert.deepEqual(fake.changes.at(-1), removed)
  fake.calls.length = 0
  const creating = await interruptAt('at work (vm.create)')
  assert.equal(creating.exitCode, 130)
  assert.deepEqual(fake.changes.at(-1), removed)
  fake.calls.length = 0
  const encrypting = await interruptAt('encrypting disk 0')
  assert.equal(encrypting.exitCode, 130)
  assert.match(encrypting.stderr, /cryptvisor: vm.encrypt of id-of-db1 goes on without you/)
  assert.ok(!fake.changes.some(({ call }) => call.startsWith('DELETE ')))
})
