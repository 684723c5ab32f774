import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDesk } from '../testing/desk.ts'

test('a datastore’s VMs are listed, with what cannot be read', async (context) => {
  const { desk } = await openDesk(context)
  const { exitCode, stdout, stderr } = await desk.run(['datastore', 'browse', 'fast'])
  assert.equal(exitCode, 0, stderr)
  assert.match(stdout, /^db1 +db1 +yes +2 +3 +not registered$/m)
  assert.match(stdout, /^broken +vm.json: expected JSON/m)
})

test('a VM is registered under its own name or another, and forgotten', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const args of [
    ['vm', 'register', 'fast', 'db1'],
    ['vm', 'register', 'fast', 'db1', '--host', 'host-a', '--name', 'again'],
    ['vm', 'unregister', 'db1'],
  ]) {
    const { exitCode, stderr } = await desk.run(args)
    assert.equal(exitCode, 0, stderr)
  }
  assert.deepEqual(
    fake.changes.map(({ call, body }) => [call, body ?? null]),
    [
      ['POST /api/v1/vms/register', { datastore: 'fast', datastoreFolder: 'db1' }],
      ['POST /api/v1/vms/register', { datastore: 'fast', datastoreFolder: 'db1', host: 'host-a', name: 'again' }],
      ['POST /api/v1/vms/db1/unregister', null],
    ],
  )
})

test('what is shown of all VMs says what to do next', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { stdout } = await desk.run(['vm', 'reconcile'])
  assert.match(stdout, /^db1 +newer +3 +5 +«vm reconcile db1 --accept»$/m)
  assert.match(stdout, /^db2 +missing +3 +- /m)
  assert.match(stdout, /^fast +new +new +no +vm register fast new$/m)
  assert.match(stdout, /^no connected host sees: slow$/m)
  const one = await desk.run(['vm', 'reconcile', 'db1'])
  assert.match(one.stdout, /^needs key: +kms\/kek-2$/m)
  assert.deepEqual(fake.changes, [])
})

test('only the generation that was shown is accepted, of one VM, and only a newer one', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { exitCode, stderr } = await desk.run(['vm', 'reconcile', 'db1', '--accept'])
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /^difference: +VM Home: encrypted under kms\/kek-1 here/m)
  assert.deepEqual(fake.changes, [{ call: 'POST /api/v1/vms/db1/reconciliation', body: { generation: 5 } }])
  assert.equal((await desk.run(['vm', 'reconcile', '--accept'])).exitCode, 2)
  const missing = await desk.run(['vm', 'reconcile', 'db2', '--accept'])
  assert.equal(missing.exitCode, 1)
  assert.match(missing.stderr, /nothing to accept/)
  assert.equal(fake.changes.length, 1)
})
