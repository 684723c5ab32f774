import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Rehearsal } from '@cryptvisor/control-plane-api'
import { openDesk } from '../testing/desk.ts'

const rehearsal: Rehearsal = {
  dryRun: true,
  effects: [
    { kind: 'task', type: 'vm.encrypt', text: 'task vm.encrypt of vm web', lines: ['ask for a key', 'encrypt disk 0'] },
    { kind: 'event', type: 'user.changed', text: 'role ops was made', lines: [] },
  ],
  answer: null,
}

test('--dry-run sends the first changing request as a dry run, and shows what it would do', async (context) => {
  const { desk } = await openDesk(context)
  desk.fake.rehearsal = rehearsal
  const { exitCode, stdout, stderr } = await desk.run(['vm', 'encrypt', 'web', '--dry-run'])
  assert.equal(stderr, '')
  assert.equal(exitCode, 0)
  assert.match(stdout, /dry run: nothing was changed/)
  assert.match(stdout, /begin task vm\.encrypt of vm web:\n {6}ask for a key\n {6}encrypt disk 0\n/)
  const calls = desk.fake.calls.map(({ call }) => call)
  assert.deepEqual(
    calls.filter((call) => !call.startsWith('GET')),
    ['POST /api/v1/vms/web/policy?dryRun=true'],
  )
  const json = await desk.run(['vm', 'encrypt', 'web', '--dry-run', '--json'])
  assert.deepEqual(JSON.parse(json.stdout), rehearsal)
})

test('a command that reads is as ever; one that sends or gets bytes has no dry run', async (context) => {
  const { desk } = await openDesk(context)
  assert.equal((await desk.run(['cluster', 'list', '--dry-run'])).exitCode, 0)
  const { exitCode, stderr } = await desk.run(['disk', 'export', 'web', '0', 'out.img', '--dry-run'])
  assert.notEqual(exitCode, 0)
  assert.match(stderr, /--dry-run: there is no dry run of this command/)
})
