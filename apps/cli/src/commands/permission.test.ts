import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

const operators = { kind: 'group', name: 'operators' }
const sales = { kind: 'folder', name: '/Sales' }

/** Each command line, the call that it makes, and a part of what it says. */
const commands: readonly (readonly [args: readonly string[], call: string, body: unknown, text: RegExp])[] = [
  [['folder', 'list'], 'GET /folders', null, /^\/Sales\/Berlin +db1, web/m],
  [['folder', 'add', '/Sales'], 'POST /folders', { name: 'Sales', parent: '/' }, /made folder \/Sales$/m],
  [['folder', 'add', '/A/B/C'], 'POST /folders', { name: 'C', parent: '/A/B' }, /made folder \/A\/B\/C$/m],
  [['folder', 'rename', '/A/B', 'D'], 'PATCH /folders/%2FA%2FB', { name: 'D' }, /is \/Sales\/D now/],
  [['folder', 'move', 'f-1', '/Sales'], 'POST /folders/f-1/move', { folder: '/Sales' }, /is \/Sales\/Berlin now/],
  [['folder', 'remove', '/A'], 'DELETE /folders/%2FA', null, /removed folder \/A/],
  [['vm', 'move', 'db1', '--folder', '/A'], 'POST /vms/db1/move', { folder: '/A' }, /VM db1 is in folder \/A now/],
  [['group', 'list'], 'GET /groups', null, /^operators +kim, lee +the night shift$/m],
  [['group', 'add', 'ops'], 'POST /groups', { name: 'ops' }, /made group ops/],
  [['group', 'add', 'ops', '--description', 'x'], 'POST /groups', { name: 'ops', description: 'x' }, /made group ops/],
  [['group', 'add-member', 'ops', 'kim'], 'PUT /groups/ops/members/kim', null, /kim is in group ops now/],
  [['group', 'remove-member', 'ops', 'kim'], 'DELETE /groups/ops/members/kim', null, /kim is in group ops no more/],
  [['group', 'remove', 'ops'], 'DELETE /groups/ops', null, /removed group ops/],
  [['permission', 'list'], 'GET /permissions', null, /^\/Sales +group operators +NoAccess +yes$/m],
  [['permission', 'list', '--user', 'kim'], 'GET /permissions?user=kim', null, /NoAccess/],
  [['permission', 'list', '--object', 'vm:a:b'], 'GET /permissions?kind=vm&name=a%3Ab', null, /NoAccess/],
  [
    ['permission', 'set', '/', '--user', 'kim', '--role', 'Admin', '--no-propagate'],
    'PUT /permissions',
    { object: { kind: 'root', name: '/' }, to: { kind: 'user', name: 'kim' }, role: 'Admin', propagate: false },
    /user kim has role Admin on \/ now/,
  ],
  [
    ['permission', 'set', '/Sales', '--group', 'operators', '--role', 'NoAccess'],
    'PUT /permissions',
    { object: sales, to: operators, role: 'NoAccess', propagate: true },
    /group operators has role NoAccess on \/Sales now/,
  ],
  [
    ['permission', 'remove', '/Sales', '--group', 'operators'],
    'POST /permissions/remove',
    { object: sales, to: operators },
    /group operators has nothing of its own on \/Sales now/,
  ],
  [
    ['permission', 'check', 'kim', 'System.Read', 'vm:db1'],
    'GET /permissions/check?user=kim&privilege=System.Read&kind=vm&name=db1',
    null,
    /^no: kim lacks System\.Read on vm:db1\n {2}role NoAccess of group operators on \/Sales decides, and lacks it$/m,
  ],
  [
    ['permission', 'check', 'kim', 'System.Read', 'vm:web'],
    'GET /permissions/check?user=kim&privilege=System.Read&kind=vm&name=web',
    null,
    /no permission of kim, or of a group of theirs, is on it or above it/,
  ],
  [['role', 'show', 'Admin'], 'GET /roles', null, /^Global\.CancelTask +Cancel, pause, resume/m],
  [['user', 'sessions'], 'GET /sessions', null, /^s-2 +admin.*this one$/m],
  [['user', 'end-session', 's-1'], 'DELETE /sessions/s-1', null, /ended session s-1/],
  [['user', 'end-sessions', 'kim'], 'DELETE /users/kim/sessions', null, /ended all sessions of kim/],
]

test('folders, groups, permissions and sessions: each command makes its call and says what it found', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const [args, call, body, text] of commands) {
    await context.test(`cryptvisor ${args.join(' ')}`, async () => {
      fake.calls.length = 0
      const { exitCode, stderr, stdout } = await desk.run(args)
      assert.equal(exitCode, 0, stderr)
      const [method, path] = call.split(' ')
      assert.deepEqual(
        fake.calls.map((made) => [made.call, made.body ?? null]),
        [[`${method} /api/v1${path}`, body]],
      )
      assert.match(stdout, text)
    })
  }
})

test('what is no object, no path and nobody is refused before anything is asked', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const args of [
    ['permission', 'set', 'db1', '--user', 'kim', '--role', 'Admin'],
    ['permission', 'set', 'vm:', '--user', 'kim', '--role', 'Admin'],
    ['permission', 'set', '/', '--role', 'Admin'],
    ['permission', 'set', '/', '--user', 'kim', '--group', 'ops', '--role', 'Admin'],
    ['folder', 'add', 'Sales'],
    ['folder', 'add', '/'],
  ]) {
    const { exitCode, stderr } = await desk.run(args)
    assert.equal(exitCode, 2, args.join(' '))
    assert.notEqual(stderr, '')
  }
  assert.deepEqual(fake.calls, [])
})

test('sessions of one user alone', async (context) => {
  const { desk } = await openDesk(context)
  const { stdout } = await desk.run(['user', 'sessions', 'kim'])
  assert.match(stdout, /s-1/)
  assert.doesNotMatch(stdout, /s-2/)
})

test('one’s own password: two lines of standard input, or two files, and never an argument', async (context) => {
  const { desk, fake } = await openDesk(context)
  const [oldPassword, newPassword] = ['correct horse battery', 'staple horse battery']
  const call = { call: 'POST /api/v1/me/password', body: { oldPassword, newPassword } }
  const piped = await desk.run(['user', 'password', '--password-stdin'], { stdin: `${oldPassword}\n${newPassword}\n` })
  assert.equal(piped.exitCode, 0, piped.stderr)
  const [before, after] = [desk.file('old', `${oldPassword}\n`), desk.file('new', `${newPassword}\n`)]
  const filed = await desk.run(['user', 'password', '--old-password-file', before, '--password-file', after])
  assert.equal(filed.exitCode, 0, filed.stderr)
  assert.deepEqual(fake.changes, [call, call])
  const short = await desk.run(['user', 'password', '--password-stdin'], { stdin: `${oldPassword}\n` })
  assert.match(short.stderr, /expected two lines/)
  assert.doesNotMatch(piped.stdout + piped.stderr + filed.stdout + short.stderr, /horse/)
})
