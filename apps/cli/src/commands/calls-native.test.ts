import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

const commands: readonly (readonly [line: string, call: string, body: unknown, shown: RegExp])[] = [
  ['key-provider add nkp --native', 'POST /native-key-providers', { name: 'nkp' }, /no keys before its backup/],
  ['key-provider rotate nkp', 'POST /native-key-providers/nkp/generations', null, /generation 1/],
  ['key-provider destroy-generation nkp 1', 'DELETE /native-key-providers/nkp/generations/1', null, /destroyed/],
  [
    'key-provider key-type kms wrapped --rotation-days 90',
    'PUT /key-providers/kms/key-type',
    { keyType: 'wrapped', rotationDays: 90 },
    /wrapping key: +kek-9/,
  ],
  [
    'key-provider key-type kms wrapped --wrapping-key kek-9',
    'PUT /key-providers/kms/key-type',
    { keyType: 'wrapped', wrappingKey: 'kek-9' },
    /wrapped: many VMs/,
  ],
  ['key-provider key-type kms raw', 'PUT /key-providers/kms/key-type', { keyType: 'raw' }, /raw: each VM/],
  ['key-provider rotate-wrapping-key kms', 'POST /key-providers/kms/wrapping-key', null, /kek-9/],
]

test('each command about native providers and wrapping keys makes its call', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const [line, call, body, shown] of commands) {
    await context.test(`cryptvisor ${line}`, async () => {
      fake.calls.length = 0
      const { exitCode, stdout, stderr } = await desk.run(line.split(' '))
      assert.equal(exitCode, 0, stderr)
      assert.match(stdout, shown)
      assert.deepEqual(
        fake.calls.map((made) => [made.call.replace('/api/v1', ''), made.body ?? null]),
        [[call, body]],
      )
    })
  }
})

test('a backup is written, and confirmed by what is on the disk; the password is sent as it is', async (context) => {
  const { desk, fake } = await openDesk(context)
  const out = join(desk.folder, 'nkp.p12')
  const stdin = 'correct horse battery\n'
  const { exitCode, stderr } = await desk.run(['key-provider', 'backup', 'nkp', '--out', out, '--password-stdin'], {
    stdin,
  })
  assert.equal(exitCode, 0, stderr)
  assert.equal(readFileSync(out, 'utf8'), 'the backup')
  assert.deepEqual(fake.secrets, ['correct horse battery'])
  const confirmed = fake.calls.at(-1)
  assert.equal(confirmed?.call, 'POST /api/v1/native-key-providers/nkp/backup/confirm')
  const sha256 = createHash('sha256').update('the backup').digest('hex')
  assert.deepEqual(confirmed.body, { sha256 })
  const again = await desk.run(['key-provider', 'backup', 'nkp', '--out', out, '--password-stdin'], { stdin })
  assert.equal(again.exitCode, 2, 'a file that is there is not overwritten')
})

test('a backup is restored with its password', async (context) => {
  const { desk, fake } = await openDesk(context)
  const file = desk.file('nkp.p12', 'the backup')
  const password = desk.file('password', 'correct horse battery\n')
  const { exitCode, stdout, stderr } = await desk.run([
    ...['key-provider', 'restore', file, '--password-file', password],
  ])
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /restored key provider nkp, the default/)
  assert.deepEqual(fake.secrets, ['the backup', 'correct horse battery'])
})

test('what cannot be meant is refused before anything is asked', async (context) => {
  const { desk, fake } = await openDesk(context)
  const out = join(desk.folder, 'nkp.p12')
  for (const [args, stdin] of [
    [['backup', 'nkp', '--out', out, '--password-stdin'], 'short\n'],
    [['backup', 'nkp', '--out', out, '--password-stdin'], ''],
    [['backup', 'nkp', '--out', out, '--password-stdin'], 'two lines\nare too many\n'],
    [['backup', 'nkp', '--out', out], 'no terminal to ask on\n'],
    [['restore', join(desk.folder, 'none.p12'), '--password-stdin'], 'correct horse battery\n'],
    [['add', 'nkp', '--native', '--server', 'kms-1'], ''],
    [['add', 'nkp'], ''],
    [['key-type', 'kms', 'other'], ''],
    [['key-type', 'kms', 'wrapped', '--rotation-days', '7'], ''],
  ] as const) {
    const { exitCode, stderr } = await desk.run(['key-provider', ...args], { stdin })
    assert.equal(exitCode, 2, `${args.join(' ')}: ${stderr}`)
  }
  assert.ok(!existsSync(out))
  assert.deepEqual(fake.calls, [])
})
