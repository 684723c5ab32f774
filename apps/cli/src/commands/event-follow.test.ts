import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Interrupt } from '../interrupt.ts'
import { cannedEvent } from '../testing/canned.ts'
import { openDesk } from '../testing/desk.ts'

test('--follow shows what was, then what comes, without a gap and none twice', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const id of [1, 2, 3]) fake.events.push(cannedEvent(id))
  const interrupt = new Interrupt(() => assert.fail('the program would have ended'))
  let lines = 0
  const running = desk.run(['event', 'list', '--follow', '--json', '--limit', '2'], {
    interrupt,
    onOutput: (text) => {
      lines += text.split('\n').length - 1
      // One that no stream tells of: it came while the stream was being opened.
      if (lines === 2) fake.events.push(cannedEvent(4))
      if (lines === 5) interrupt.fire()
    },
  })
  await fake.listened()
  fake.emit(cannedEvent(5))
  fake.emit(cannedEvent(6))
  const { exitCode, stdout, stderr } = await running
  assert.equal(exitCode, 130)
  assert.equal(stderr, '{"error":{"code":"interrupted","message":"interrupted"}}\n')
  assert.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      // Each line is one event.
      .map((line) => (JSON.parse(line) as { id: number }).id),
    [2, 3, 4, 5, 6],
  )
})

test('--follow keeps to its filter', async (context) => {
  const { desk, fake } = await openDesk(context)
  const interrupt = new Interrupt(() => assert.fail('the program would have ended'))
  const running = desk.run(['event', 'list', '--follow', '--type', 'vm.created'], {
    interrupt,
    onOutput: (text) => {
      if (text.includes('vm.created')) interrupt.fire()
    },
  })
  await fake.listened()
  fake.emit(cannedEvent(1))
  fake.emit(cannedEvent(2, { type: 'vm.created' }))
  const { stdout } = await running
  assert.match(stdout, /^\S+ \S+ {2}info {5}vm\.created: event 2 \(vm=db1 .*\)\n$/)
})

test('--follow says once that the connection broke, and gives up when nobody comes back', async (context) => {
  const { desk, fake } = await openDesk(context)
  fake.events.push(cannedEvent(1))
  const running = desk.run(['event', 'list', '--follow'])
  await fake.listened()
  await fake[Symbol.asyncDispose]()
  const { exitCode, stdout, stderr } = await running
  assert.equal(exitCode, 3)
  assert.equal(stdout.trimEnd().split('\n').length, 1)
  assert.match(stderr, /^the connection to the control plane broke; trying again\ncryptvisor: .* cannot be reached/)
})
