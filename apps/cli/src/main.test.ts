import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { processTraces } from '@cryptvisor/testkit'
import { type Desk, openDesk } from './testing/desk.ts'

const main = fileURLToPath(new URL('main.ts', import.meta.url))

test('the program says by its exit code what became of the command', async (context) => {
  const { desk } = await openDesk(context)
  const good = await finished(start(desk, ['vm', 'list', '--json']))
  assert.equal(good.exitCode, 0)
  // Anything but such an answer fails the assertion.
  assert.equal((JSON.parse(good.stdout) as unknown[]).length, 2)
  const wrong = await finished(start(desk, ['vm', 'lost']))
  assert.equal(wrong.exitCode, 2)
  assert.equal(wrong.stdout, '')
})

test('SIGINT while a command waits: 130, and the task goes on', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.endings.set('vm.encrypt', 'never')
  const child = start(desk, ['vm', 'encrypt', 'db1', '--verbose'])
  child.stderr?.once('data', () => child.kill('SIGINT'))
  const { exitCode, stderr } = await finished(child)
  assert.equal(exitCode, 130)
  assert.match(stderr, /goes on without you \(task task-1\)/)
  assert.equal(fake.find('task-1').state, 'running')
})

test('a reader that has seen enough is no failure', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (let id = 1; id <= 2000; id++) fake.startTask('vm.encrypt', 'db1')
  const child = start(desk, ['task', 'list'])
  child.stdout?.once('data', () => child.stdout?.destroy())
  const { exitCode, stderr } = await finished(child)
  assert.deepEqual([exitCode, stderr], [0, ''])
})

test('passwords and tokens are in no argument, no environment and no output', async (context) => {
  const { desk, fake } = await openDesk(context)
  const [password, token] = [randomBytes(24).toString('base64url'), randomBytes(24).toString('base64url')]
  fake.tokens.add(token)
  fake.endings.set('vm.encrypt', 'never')
  const tokenFile = desk.file('token', `${token}\n`)
  const outputs: string[] = []

  const login = start(desk, ['login', '--password-stdin', '--verbose'])
  login.stdin?.write(password)
  // A search that finds what is there shows that the program runs; it waits for the end of its input.
  while (tracesOf(login, main).length === 0) await sleep(10)
  assert.deepEqual(tracesOf(login, password), [])
  login.stdin?.end()
  const refused = await finished(login)
  assert.equal(refused.exitCode, 4)
  outputs.push(refused.stdout, refused.stderr)

  const waiting = start(desk, ['vm', 'encrypt', 'db1', '--verbose', '--token-file', tokenFile])
  waiting.stderr?.once('data', () => {
    assert.deepEqual(tracesOf(waiting, token), [])
    waiting.kill('SIGINT')
  })
  const left = await finished(waiting)
  assert.equal(left.exitCode, 130)
  outputs.push(left.stdout, left.stderr)

  for (const output of outputs) assert.ok(!output.includes(password) && !output.includes(token))
})

test('the password is asked for without echo', async (context) => {
  if (!hasTerminals()) return context.skip('this machine gives no pseudo-terminals (devpts is not mounted)')
  const { desk, fake } = await openDesk(context)
  const before = fake.calls.length
  // `script` gives the program a terminal and shows all that appears on it.
  const command = `${process.execPath} ${main} login --user admin`
  const child = spawn('/usr/bin/script', ['--quiet', '--return', '--command', command, '/dev/null'], {
    env: { ...process.env, CRYPTVISOR_CONFIG: desk.config },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  context.after(() => child.kill())
  let shown = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const asked = shown.includes('Password of admin')
    shown += chunk.toString()
    if (!asked && shown.includes('Password of admin')) child.stdin.write(`${fake.password}\r`)
  })
  const [exitCode] = await once(child, 'close')
  assert.equal(exitCode, 0, shown)
  assert.match(shown, /Password of admin at https:\S+: /)
  assert.match(shown, /logged in to https:\S+ as admin until /)
  assert.ok(!shown.includes(fake.password), 'the password was echoed')
  assert.equal(fake.calls.length, before + 1)
  assert.match(readFileSync(desk.config, 'utf8'), /session-token/)
})

test('a new password is asked for twice', async (context) => {
  if (!hasTerminals()) return context.skip('this machine gives no pseudo-terminals (devpts is not mounted)')
  const { desk, fake } = await openDesk(context)
  for (const [answers, exitCode, text] of [
    ['first long password\rfirst long password\r', 0, /made user kim/],
    ['first long password\rother long password\r', 2, /the two passwords are not the same/],
    ['\u0003', 130, /no password was given/],
  ] as const) {
    const command = `${process.execPath} ${main} user add kim --role ReadOnly`
    const child = spawn('/usr/bin/script', ['--quiet', '--return', '--command', command, '/dev/null'], {
      env: { ...process.env, CRYPTVISOR_CONFIG: desk.config },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    context.after(() => child.kill())
    let shown = ''
    child.stdout.on('data', (chunk: Buffer) => {
      const asked = shown.includes('New password of kim')
      shown += chunk.toString()
      if (!asked && shown.includes('New password of kim')) child.stdin.write(answers)
    })
    const [code] = await once(child, 'close')
    assert.equal(code, exitCode, shown)
    assert.match(shown, text)
    assert.ok(!shown.includes('long password'))
  }
  assert.deepEqual(fake.changes, [
    { call: 'POST /api/v1/users', body: { name: 'kim', role: 'ReadOnly', password: 'first long password' } },
  ])
})

test('an import of a large image takes constant memory', async (context) => {
  const { desk, fake } = await openDesk(context)
  const large = desk.file('large.img', '')
  await truncate(large, 512 * 1_048_576)
  const report = join(desk.folder, 'memory')
  const program = `
    process.on('exit', () => require('node:fs').writeFileSync(${JSON.stringify(report)}, String(process.resourceUsage().maxRSS)))
  `
  const preload = desk.file('preload.cjs', program)
  const child = start(desk, ['vm', 'import', 'db1', '--disk', large], ['--require', preload])
  const { exitCode, stderr } = await finished(child)
  assert.equal(exitCode, 0, stderr)
  assert.equal(fake.contents.length, 1)
  const megabytes = Number(readFileSync(report, 'utf8')) / 1024
  assert.ok(megabytes < 256, `${megabytes} MiB`)
})

function start(desk: Desk, args: readonly string[], nodeArgs: readonly string[] = []): ChildProcess {
  return spawn(process.execPath, [...nodeArgs, main, ...args], {
    env: { PATH: process.env['PATH'], CRYPTVISOR_CONFIG: desk.config },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
}

async function finished(child: ChildProcess) {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const [exitCode] = await once(child, 'close')
  return { exitCode: exitCode as unknown, stdout, stderr }
}

function tracesOf({ pid }: ChildProcess, secret: string): string[] {
  assert.ok(pid !== undefined)
  return processTraces(pid, Buffer.from(secret))
}

/** Whether `script` can get a pseudo-terminal; a bare chroot has none. */
function hasTerminals(): boolean {
  return spawnSync('/usr/bin/script', ['--quiet', '--return', '--command', 'true', '/dev/null']).status === 0
}
