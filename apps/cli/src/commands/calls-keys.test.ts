import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CommandCalls, checkCalls } from '../testing/check-calls.ts'
import { openDesk } from '../testing/desk.ts'

const seal = '0123456789abcdef'
const digest = seal.repeat(4)

/** Each command line about the lives of keys, and the calls that it makes. */
const commands: readonly CommandCalls[] = [
  ['keys users kms/kek-1', ['GET /key-usage?provider=kms&keyId=kek-1']],
  ['keys users', ['GET /key-usage']],
  ['keys users --provider kms', ['GET /key-usage?provider=kms']],
  ['keys show kms/kek-1', ['GET /keys/kms/kek-1']],
  ['vm keys db1', ['GET /key-usage?vm=db1']],
  ['host keys host-a', ['GET /key-usage?host=host-a']],
  ['keys orphans', ['GET /key-orphans']],
  ['keys orphans --provider kms', ['GET /key-orphans?provider=kms']],
  ['keys retired', ['GET /retired-keys']],
  ['keys retired --provider kms --older-than 90', ['GET /retired-keys?provider=kms&olderThanDays=90']],
  ['keys orders', ['GET /key-orders']],
  ['keys orders --all', ['GET /key-orders?all=true']],
  ['keys destroy kms kek-1', ['POST /keys/kms/kek-1/destroy', {}]],
  [
    'keys destroy kms/kek-1 --after 12h --force --reason old',
    ['POST /keys/kms/kek-1/destroy', { afterSeconds: 43_200, force: true, reason: 'old' }],
  ],
  ['keys destroy kms/kek-1 --after 0', ['POST /keys/kms/kek-1/destroy', { afterSeconds: 0 }]],
  [
    'keys destroy --retired --older-than 30 --provider kms',
    ['POST /retired-keys/destroy', { olderThanDays: 30, provider: 'kms' }],
  ],
  ['keys revoke kms/kek-1', ['POST /keys/kms/kek-1/revoke', {}]],
  [
    'keys revoke kms/kek-1 --compromised --force',
    ['POST /keys/kms/kek-1/revoke', { cause: 'key-compromise', force: true }],
  ],
  ['keys restore kms/kek-1', ['POST /keys/kms/kek-1/restore']],
  ['vm erase db1 --confirm db1 --reason over', ['POST /vms/db1/erase', { confirm: 'db1', reason: 'over' }]],
  ['vm erase-certificate list', ['GET /erasures']],
  ['vm erase-certificate show db1', ['GET /erasures/db1']],
  ['report coverage', ['GET /reports/coverage?format=json']],
  ['approval list', ['GET /approvals']],
  ['approval list --all', ['GET /approvals?all=true']],
  ['approval show approval-1', ['GET /approvals/approval-1']],
  [
    `approval approve approval-1 --seal ${seal} --comment seen`,
    ['GET /approvals/approval-1'],
    ['POST /approvals/approval-1/approve', { digest, comment: 'seen' }],
  ],
  ['approval reject approval-1', ['POST /approvals/approval-1/reject', {}]],
  ['approval withdraw approval-1 --comment no', ['POST /approvals/approval-1/withdraw', { comment: 'no' }]],
]

test('each command about the lives of keys makes the calls that it should, and no others', (context) =>
  checkCalls(context, commands))

test('nothing is approved without the seal of what is shown', async (context) => {
  const { desk, fake } = await openDesk(context)
  const unseen = await desk.run(['approval', 'approve', 'approval-1'])
  assert.equal(unseen.exitCode, 2)
  assert.match(unseen.stdout, /VM db1.*disk 0.*kms\/kek-1/)
  assert.match(unseen.stderr, new RegExp(`approval approve approval-1 --seal ${seal}`))
  for (const wrong of ['0123', 'ffffffffffffffff']) {
    const { exitCode, stderr } = await desk.run(['approval', 'approve', 'approval-1', '--seal', wrong])
    assert.equal(exitCode, 2)
    assert.match(stderr, /approval show approval-1/)
  }
  assert.deepEqual(fake.changes, [])
})

test('trees show who shares a key, and what each part needs', async (context) => {
  const { desk } = await openDesk(context)
  const users = await desk.run(['keys', 'users', 'kms/kek-1'])
  assert.equal(
    users.stdout,
    [
      'key kms/kek-1 (current)',
      '├─ VM db1',
      '│  ├─ VM Home',
      '│  └─ disk 0',
      '└─ VM copy',
      '   └─ VM Home',
      'key kms/kek-2 (retired)',
      '└─ nothing uses it',
      '',
    ].join('\n'),
  )
  const vm = await desk.run(['vm', 'keys', 'copy'])
  assert.equal(
    vm.stdout,
    [
      'VM copy',
      '└─ VM Home',
      '   └─ key kms/kek-1 (current)',
      'VM db1',
      '├─ VM Home',
      '│  └─ key kms/kek-1 (current)',
      '└─ disk 0',
      '   └─ key kms/kek-1 (current)',
      '',
    ].join('\n'),
  )
})

test('what cannot be meant is refused before anything is asked', async (context) => {
  const { desk, fake } = await openDesk(context)
  for (const line of [
    'keys destroy',
    'keys destroy --retired',
    'keys destroy kms/kek-1 --older-than 3',
    'keys destroy kms/kek-1 --retired --older-than 3',
    'keys destroy kms/kek-1 --after 7',
    'keys destroy kms/kek-1 --after 366d',
    'keys destroy kms/kek-1 --after soon',
  ]) {
    assert.equal((await desk.run(line.split(' '))).exitCode, 2, line)
  }
  assert.deepEqual(fake.calls, [])
})
