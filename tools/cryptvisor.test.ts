import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { FakeControlPlane } from '../apps/cli/src/testing/fake-control-plane.ts'

const tool = fileURLToPath(new URL('cryptvisor.ts', import.meta.url))

test('it logs in by itself, once, and runs the command in the caller’s folder', async (context) => {
  const { folder, fake } = await fakeLab(context)
  const image = join(folder, 'disk.img')
  writeFileSync(image, Buffer.alloc(4096))
  const args = ['--dir', folder, 'vm', 'import', 'db1', '--disk', 'disk.img', '--json']
  const first = await run(args, { INIT_CWD: folder })
  assert.equal(first.exitCode, 0, first.stderr)
  assert.equal(first.stderr, '')
  // Anything but a task fails the assertion.
  assert.equal((JSON.parse(first.stdout) as { state: string }).state, 'success')
  assert.equal(statSync(join(folder, 'cli', 'config.json')).mode & 0o777, 0o600)
  assert.ok(!readFileSync(join(folder, 'cli', 'config.json'), 'utf8').includes(fake.password))
  assert.equal((await run(['--dir', folder, 'vm', 'list'])).exitCode, 0)
  const logins = () => fake.calls.filter(({ call }) => call === 'POST /api/v1/login').length
  assert.equal(logins(), 1)
  fake.tokens.clear()
  assert.equal((await run(['--dir', folder, 'vm', 'list'])).exitCode, 0)
  assert.equal(logins(), 2, 'a session that has ended is made anew')
})

test('it passes the exit code on', async (context) => {
  const { folder, fake } = await fakeLab(context)
  fake.endings.set('vm.encrypt', { state: 'error', error: { code: 'vm-busy', message: 'it is busy' } })
  const { exitCode, stderr } = await run(['--dir', folder, 'vm', 'encrypt', 'db1'])
  assert.equal(exitCode, 1)
  assert.match(stderr, /^cryptvisor: vm.encrypt of db1 failed: it is busy\n/)
  assert.equal((await run(['--dir', folder, 'vm', 'encrypt', 'db1', '--disk', '-1'])).exitCode, 2)
})

test('a folder without a lab, a lab that is down, and no folder at all are told apart', async (context) => {
  const { folder, fake } = await fakeLab(context)
  const none = await run(['--dir', join(folder, 'nothing'), 'vm', 'list'])
  assert.equal(none.exitCode, 2)
  assert.match(
    none.stderr,
    /^cryptvisor: there is no lab in \S+nothing\n {2}make one: \.\/run lab up --dir \S+nothing\n$/,
  )
  const without = await run(['vm', 'list'])
  assert.equal(without.exitCode, 2)
  assert.match(without.stderr, /^cryptvisor: --dir: is missing; it comes first\n {2}usage: /)
  await fake[Symbol.asyncDispose]()
  const down = await run(['--dir', folder, 'vm', 'list'])
  assert.equal(down.exitCode, 3)
  assert.match(
    down.stderr,
    /the lab in \S+ does not answer: .* cannot be reached.*\n {2}start it: \.\/run lab up --dir /,
  )
  const json = await run(['--dir', folder, 'vm', 'list', '--json'])
  assert.equal(json.exitCode, 3)
  // Anything but an error of this shape fails the assertion.
  assert.equal((JSON.parse(json.stderr) as { error: { code: string } }).error.code, 'unreachable')
})

/** A folder as `lab up` leaves it, with a fake control plane behind it. */
async function fakeLab(context: TestContext) {
  const fake = await FakeControlPlane.start()
  context.after(() => fake[Symbol.asyncDispose]())
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-test-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'control-plane'))
  const ca = join(folder, 'control-plane', 'ca.pem')
  writeFileSync(ca, fake.ca)
  const controlPlane = { url: fake.url, ca, user: 'admin', password: fake.password }
  writeFileSync(join(folder, 'lab.json'), JSON.stringify({ controlPlane }), { mode: 0o600 })
  return { folder, fake }
}

async function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [tool, ...args], {
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const [exitCode] = await once(child, 'close')
  return { exitCode: exitCode as unknown, stdout, stderr }
}
