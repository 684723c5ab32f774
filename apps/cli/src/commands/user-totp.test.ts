import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

test('user totp: each command makes its call and says what it found', async (context) => {
  const { desk, fake } = await openDesk(context)
  const codeFile = desk.file('code', '123456\n')
  const rows = [
    [['show'], 'GET /api/v1/me/second-factor', /recovery codes left: +7\n/],
    [
      ['enroll'],
      'POST /api/v1/me/second-factor',
      /otpauth:\/\/totp\/Cryptvisor:kim\?secret=MZXW6YTB[\s\S]*totp confirm/,
    ],
    [['confirm', '--code-file', codeFile], 'POST /api/v1/me/second-factor/confirm', /abcd-efgh-ijkl-mnop/],
    [['disable', '--code-file', codeFile], 'POST /api/v1/me/second-factor/disable', /need no code/],
    [['reset', 'kim'], 'DELETE /api/v1/users/kim/second-factor', /kim has no second factor/],
    [['require'], 'GET /api/v1/login-rule', /required of administrators/],
    [['require', 'everybody'], 'PUT /api/v1/login-rule', /required of everybody/],
  ] as const
  for (const [args, call, said] of rows) {
    fake.calls.length = 0
    const { exitCode, stdout, stderr } = await desk.run(['user', 'totp', ...args])
    assert.equal(exitCode, 0, stderr)
    assert.match(stdout, said)
    assert.deepEqual(
      fake.calls.map((each) => each.call),
      [call],
    )
  }
})

test('a code comes from a file or the terminal, and no command asks without either', async (context) => {
  const { desk, fake } = await openDesk(context)
  const asked = await desk.run(['user', 'totp', 'confirm'])
  assert.equal(asked.exitCode, 2)
  assert.match(asked.stderr, /no terminal.*\n.*--code-file FILE/)
  const missing = await desk.run(['user', 'totp', 'confirm', '--code-file', '/no/such/file'])
  assert.match(missing.stderr, /--code-file: \/no\/such\/file cannot be read: ENOENT/)
  assert.equal((await desk.run(['user', 'totp', 'require', 'some'])).exitCode, 2)
  assert.deepEqual(fake.calls, [])
})
