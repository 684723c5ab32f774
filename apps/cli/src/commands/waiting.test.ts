import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Interrupt } from '../interrupt.ts'
import { cannedTask } from '../testing/canned.ts'
import { openDesk } from '../testing/desk.ts'

test('a command waits for its task, and what it prints is the task as it ended', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { exitCode, stdout, stderr } = await desk.run(['vm', 'encrypt', 'db1', '--json'])
  assert.equal(exitCode, 0)
  assert.equal(stderr, '')
  const ended = fake.find('task-1')
  assert.equal(ended.state, 'success')
  assert.deepEqual(JSON.parse(stdout), ended)
  const people = await desk.run(['vm', 'encrypt', 'db1'])
  assert.equal(people.stdout, 'vm.encrypt of db1: done; its key is kms/kek-1\n')
  assert.equal(people.stderr, '')
})

test('--no-wait gives the task as it started', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.endings.set('vm.encrypt', 'never')
  const { exitCode, stdout } = await desk.run(['vm', 'encrypt', 'db1', '--no-wait', '--json'])
  assert.equal(exitCode, 0)
  assert.deepEqual(JSON.parse(stdout), fake.find('task-1'))
  const people = await desk.run(['vm', 'encrypt', 'db1', '--no-wait'])
  assert.equal(people.stdout, 'vm.encrypt of db1 has started: task task-2\n')
  assert.equal(people.stderr, 'watch it: cryptvisor task watch task-2\n')
  assert.ok(!fake.calls.some(({ call }) => call.startsWith('GET ')))
})

test('a task that fails or is cancelled ends the command with 1 and its own code', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.endings.set('vm.encrypt', { state: 'error', error: { code: 'kms-unreachable', message: 'kms does not answer' } })
  const failed = await desk.run(['vm', 'encrypt', 'db1', '--json'])
  assert.equal(failed.exitCode, 1)
  assert.equal(failed.stdout, '')
  assert.deepEqual(JSON.parse(failed.stderr), {
    error: {
      code: 'kms-unreachable',
      message: 'vm.encrypt of db1 failed: kms does not answer; see more: cryptvisor task show task-1',
    },
  })
  fake.endings.set('vm.encrypt', { state: 'cancelled' })
  const cancelled = await desk.run(['vm', 'encrypt', 'db1'])
  assert.equal(cancelled.exitCode, 1)
  assert.match(cancelled.stderr, /^cryptvisor: vm.encrypt of db1 was cancelled\n/)
  const watched = await desk.run(['task', 'watch', 'task-1'])
  assert.equal(watched.exitCode, 1)
  assert.match(watched.stderr, /kms does not answer/)
})

test('Ctrl-C leaves the task running and says how to go on', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.endings.set('vm.encrypt', 'never')
  const interrupt = new Interrupt(() => assert.fail('the program would have ended'))
  const { exitCode, stdout, stderr } = await desk.run(['vm', 'encrypt', 'db1', '--verbose'], {
    interrupt,
    onOutput: (text) => {
      if (text.includes('encrypting disk 0')) interrupt.fire()
    },
  })
  assert.equal(exitCode, 130)
  assert.equal(stdout, '')
  assert.match(stderr, /^cryptvisor: vm.encrypt of db1 goes on without you \(task task-1\)$/m)
  assert.match(stderr, /^ {2}watch it: cryptvisor task watch task-1; stop it: cryptvisor task cancel task-1$/m)
  assert.equal(fake.find('task-1').state, 'running')
})

test('progress: a bar on a terminal, lines when there is none and --verbose, else nothing', async (context) => {
  const { desk } = await openDesk(context)
  const bar = await desk.run(['vm', 'encrypt', 'db1'], { terminal: true })
  assert.match(bar.stderr, /\[=+ +\] 25% encrypting disk 0, 1 MiB of 4 MiB, 1 MiB\/s, 3 s left/)
  assert.equal(bar.stdout, 'vm.encrypt of db1: done; its key is kms/kek-1\n')
  const lines = await desk.run(['vm', 'encrypt', 'db1', '--verbose'])
  assert.equal(lines.stderr, '25% encrypting disk 0, 1 MiB of 4 MiB, 1 MiB/s, 3 s left\n')
  assert.equal((await desk.run(['vm', 'encrypt', 'db1'])).stderr, '')
})

test('what a step is called cannot move the cursor', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.tasks.set('odd', cannedTask('odd', { step: 'a\u001b[2Jb\nc' }))
  const { stderr } = await desk.run(['task', 'watch', 'odd'], { terminal: true })
  assert.match(stderr, /a\\u001b\[2Jb\\u000ac/)
  assert.ok(!stderr.includes('\u001b[2J'))
})

test('a control plane that goes away while we wait: 3, and how to go on', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.endings.set('vm.encrypt', 'never')
  const { exitCode, stderr } = await desk.run(['vm', 'encrypt', 'db1', '--verbose'], {
    onOutput: (text) => {
      if (text.includes('encrypting disk 0')) void fake[Symbol.asyncDispose]()
    },
  })
  assert.equal(exitCode, 3)
  assert.match(stderr, /does not answer any more; vm.encrypt of db1 may go on\n.*cryptvisor task watch task-1\n/)
})

test('only the first Ctrl-C inside a piece of work is for that work', async () => {
  let ended = 0
  const interrupt = new Interrupt(() => ended++)
  interrupt.fire()
  assert.equal(ended, 1)
  await interrupt.during(async (signal) => {
    interrupt.fire()
    assert.ok(signal.aborted)
    assert.equal(ended, 1)
    interrupt.fire()
    assert.equal(ended, 2)
    await assert.rejects(
      interrupt.during(async () => {}),
      /inside another/,
    )
  })
  interrupt.fire()
  assert.equal(ended, 3)
})

test('a session that ends while we wait: 4, and how to go on', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.endings.set('vm.encrypt', 'never')
  const { exitCode, stderr } = await desk.run(['vm', 'encrypt', 'db1', '--verbose'], {
    onOutput: (text) => {
      if (text.includes('encrypting disk 0')) fake.tokens.clear()
    },
  })
  assert.equal(exitCode, 4)
  assert.match(
    stderr,
    /the session has ended; vm.encrypt of db1 goes on without you \(task task-1\)\n {2}log in .*watch/,
  )
})
