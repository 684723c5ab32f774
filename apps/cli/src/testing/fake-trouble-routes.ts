import {
  Alarm,
  AlarmDefinition,
  AlarmDefinitionList,
  AlarmList,
  Campaign,
  CampaignList,
  CampaignPlan,
  CampaignPreview,
  CampaignReport,
  CancelCampaign,
  ChangeAlarmDefinition,
  CreateCampaign,
  ProviderReferenceList,
  PrunedEvents,
  PruneEvents,
  Retention,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { cannedTime } from './canned.ts'

const counts = { pending: 1, running: 0, done: 2, failed: 0, skipped: 0 }
const run = {
  ...{ number: 1, state: 'running' as const, waitsFor: null, startedBy: 'admin' },
  ...{ startedAt: cannedTime, endedAt: null, counts },
}

const cannedCampaign: Campaign = {
  ...{
    id: 'campaign-1',
    name: 'q4\u001b[2J',
    plan: { selection: { vms: ['db1', 'db2'], olderThanDays: 90 }, depth: 'shallow' },
    paused: false,
  },
  ...{ createdBy: 'admin', createdAt: cannedTime, nextRunAt: null, lastRun: run },
}

const cannedAlarm: Alarm = {
  ...{ id: 'alarm-1', definition: 'vm.locked', objectKind: 'vm', object: 'db1\u001b[2J', severity: 'red' },
  ...{ state: 'raised', text: 'VM db1 is locked', advice: 'unlock it', count: 1, raisedAt: cannedTime },
  ...{ lastAt: cannedTime, acknowledgedAt: null, acknowledgedBy: null, clearedAt: null, clearedBy: null },
}

const cannedDefinition: AlarmDefinition = {
  ...{ name: 'backup.old', title: 'the backup is old', severity: 'yellow', objectKind: 'system', raisedBy: [] },
  ...{ clearedBy: [], watched: true, advice: 'take one', enabled: true, threshold: 2, unit: 'days' },
}

/** Answers about campaigns, what needs a key provider, alarms, and how long events are kept. */
export function addFakeTrouble(server: RestServer): void {
  const api = '/api/v1'
  const campaign = { schema: { response: { 200: Campaign } } }
  const preview = { vms: [], hiddenCount: 2, totalBytes: 0, secondsEstimated: null }
  server.get(`${api}/campaigns`, { schema: { response: { 200: CampaignList } } }, async () => ({
    campaigns: [cannedCampaign],
  }))
  server.post(
    `${api}/campaigns`,
    { schema: { body: CreateCampaign, response: { 201: Campaign } } },
    async (_request, reply) => reply.code(201).send(cannedCampaign),
  )
  server.post(
    `${api}/campaign-previews`,
    { schema: { body: Type.Object({ plan: CampaignPlan }), response: { 200: CampaignPreview } } },
    async () => preview,
  )
  server.get(`${api}/campaigns/:name`, campaign, async () => cannedCampaign)
  for (const verb of ['start', 'pause', 'resume']) {
    server.post(`${api}/campaigns/:name/${verb}`, campaign, async () => cannedCampaign)
  }
  server.post(
    `${api}/campaigns/:name/cancel`,
    { schema: { body: CancelCampaign, response: { 200: Campaign } } },
    async () => cannedCampaign,
  )
  server.get(`${api}/campaigns/:name/report`, { schema: { response: { 200: CampaignReport } } }, async () => ({
    campaign: 'q4',
    run,
    items: [],
  }))
  server.delete(`${api}/campaigns/:name`, async (_request, reply) => reply.code(204).send())
  server.get(
    `${api}/key-providers/:name/references`,
    { schema: { response: { 200: ProviderReferenceList } } },
    async () => ({ references: [{ kind: 'vm' as const, name: 'db1', part: 'VM Home' }] }),
  )

  const alarm = { schema: { response: { 200: Alarm } } }
  server.get(`${api}/alarms`, { schema: { response: { 200: AlarmList } } }, async () => ({ alarms: [cannedAlarm] }))
  server.get(`${api}/alarms/:id`, alarm, async () => cannedAlarm)
  for (const verb of ['acknowledge', 'clear']) {
    server.post(`${api}/alarms/:id/${verb}`, alarm, async () => cannedAlarm)
  }
  server.get(`${api}/alarm-definitions`, { schema: { response: { 200: AlarmDefinitionList } } }, async () => ({
    definitions: [cannedDefinition],
  }))
  server.patch(
    `${api}/alarm-definitions/:name`,
    { schema: { body: ChangeAlarmDefinition, response: { 200: AlarmDefinition } } },
    async () => cannedDefinition,
  )
  const kept: Retention = { eventDays: 365, alarmDays: null }
  server.get(`${api}/retention`, { schema: { response: { 200: Retention } } }, async () => kept)
  server.put(
    `${api}/retention`,
    { schema: { body: Retention, response: { 200: Retention } } },
    async ({ body }) => body,
  )
  server.post(`${api}/events/prune`, { schema: { body: PruneEvents, response: { 200: PrunedEvents } } }, async () => ({
    removed: 3,
    kept: 4,
  }))
}
