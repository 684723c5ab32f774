import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CommandCalls, checkCalls } from '../testing/check-calls.ts'
import { openDesk } from '../testing/desk.ts'

const shallow = { selection: {}, depth: 'shallow' }

/** Each command line about campaigns, alarms and how long things are kept, and the calls that it makes. */
const commands: readonly CommandCalls[] = [
  ['campaign list', ['GET /campaigns']],
  ['campaign show q4', ['GET /campaigns/q4']],
  ['campaign add q4', ['POST /campaigns', { name: 'q4', plan: shallow }]],
  [
    'campaign add q4 --vm db1 --vm db2 --older-than 90 --deep --at-once 4 --per-host 1 --limit 1MiB/s --stop-after 3',
    [
      'POST /campaigns',
      {
        name: 'q4',
        plan: {
          selection: { vms: ['db1', 'db2'], olderThanDays: 90 },
          ...{ depth: 'deep', atOnceMax: 4, perHostMax: 1, bytesPerSecondMax: 1_048_576, failuresMax: 3 },
        },
      },
    ],
  ],
  [
    'campaign preview --exposed',
    ['POST /campaign-previews', { plan: { selection: { exposed: true }, depth: 'shallow' } }],
  ],
  ['campaign start q4', ['POST /campaigns/q4/start']],
  ['campaign pause q4', ['POST /campaigns/q4/pause']],
  ['campaign resume q4', ['POST /campaigns/q4/resume']],
  ['campaign cancel q4', ['POST /campaigns/q4/cancel', {}]],
  ['campaign cancel q4 --tasks', ['POST /campaigns/q4/cancel', { tasks: true }]],
  ['campaign report q4 --run 2', ['GET /campaigns/q4/report?run=2']],
  ['campaign remove q4', ['DELETE /campaigns/q4']],
  ['key-provider references kms', ['GET /key-providers/kms/references']],
  ['alarm list', ['GET /alarms']],
  ['alarm list --severity red --object db1 --all --limit 5', ['GET /alarms?severity=red&object=db1&all=true&limit=5']],
  ['alarm show alarm-1', ['GET /alarms/alarm-1']],
  ['alarm acknowledge alarm-1', ['POST /alarms/alarm-1/acknowledge']],
  ['alarm clear alarm-1', ['POST /alarms/alarm-1/clear']],
  ['alarm definitions', ['GET /alarm-definitions']],
  ['alarm define backup.old --off', ['PATCH /alarm-definitions/backup.old', { enabled: false }]],
  ['alarm define backup.old --threshold default', ['PATCH /alarm-definitions/backup.old', { threshold: null }]],
  ['event types'],
  ['event prune --before 2026-11-24', ['POST /events/prune', { before: '2026-11-24T00:00:00.000Z' }]],
  ['event retention', ['GET /retention']],
  [
    'event retention --days forever --alarm-days 30',
    ['GET /retention'],
    ['PUT /retention', { eventDays: null, alarmDays: 30 }],
  ],
  ['event retention --days 90', ['GET /retention'], ['PUT /retention', { eventDays: 90, alarmDays: null }]],
]

test('each command makes the calls that it should, and no others', (context) => checkCalls(context, commands))

test('what a campaign chooses is said in words', async (context) => {
  const { desk } = await openDesk(context)
  assert.match((await desk.run(['campaign', 'show', 'q4'])).stdout, /chooses: +db1, db2; a key of at least 90 days\n/)
})

test('what one may not see of a campaign is counted', async (context) => {
  const { desk } = await openDesk(context)
  assert.match((await desk.run(['campaign', 'preview'])).stdout, /0 VMs and 2 that you may not see/)
})
