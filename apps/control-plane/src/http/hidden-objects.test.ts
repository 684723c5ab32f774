import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWork } from '../create-work.ts'
import { ask } from '../testing/ask.ts'
import { password, startBench } from '../testing/bench.ts'
import { fillTwoSides, hostOf, vmOf } from '../testing/two-tenants.ts'

test('alarms and reports show nothing of VMs and hosts that somebody who sees the root may not see', async (context) => {
  const bench = await startBench(context, createWork)
  await bench.withDatabase(fillTwoSides)
  await bench.withDatabase(async (database) => {
    const run = { id: 'run', campaign_id: 'yearly', number: 1, state: 'done' as const, started_by: 'admin' }
    const plan = JSON.stringify({ depth: 'shallow', selection: {} })
    const campaign = { id: 'yearly', name: 'yearly', plan, paused: 0, created_by: 'admin', created_at: 0 }
    await database
      .insertInto('campaign')
      .values({ ...campaign, next_run_at: null })
      .execute()
    await database
      .insertInto('campaign_run')
      .values({ ...run, started_at: 0, ended_at: 1, waits_for: null, trouble_until: null, trouble_count: 0 })
      .execute()
    for (const side of ['mine', 'other'] as const) {
      await database
        .insertInto('campaign_item')
        .values({
          ...{ run_id: 'run', vm_id: `id-of-${vmOf(side)}`, vm_name: vmOf(side), state: 'done', text: '', tries: 1 },
          ...{ retry_at: 0, task_id: null, held: 0, old_keys: '[]', new_provider: null, new_key_id: null },
        })
        .execute()
    }
  })
  const { service, ca } = bench
  for (const side of ['mine', 'other'] as const) {
    await service.platform.events.record({ type: 'vm.crypto.locked', vm: vmOf(side), text: `of ${side}-vm` })
    const failure = { type: 'host.crypto.send-key-error', host: hostOf(side), text: `of ${side}-host` } as const
    await service.platform.events.record(failure)
  }
  const admin = await bench.logIn()
  await admin.createUser({ name: 'kim', password, role: 'ReadOnly' })
  const to = { kind: 'user', name: 'kim' } as const
  await admin.createRole({ name: 'Keeper', privileges: ['System.Read', 'Alarm.Acknowledge', 'Alarm.SetStatus'] })
  await admin.setPermission({ object: { kind: 'root', name: '/' }, to, role: 'Keeper' })
  for (const object of [
    { kind: 'vm', name: vmOf('other') },
    { kind: 'host', name: hostOf('other') },
  ] as const) {
    await admin.setPermission({ object, to, role: 'NoAccess' })
  }
  const kim = await bench.client().login({ user: 'kim', password })
  const get = async (path: string, method = 'GET', token = kim.token) =>
    ask(service.url, ca, { method, path, headers: { authorization: `Bearer ${token}` }, body: '' })

  for (const path of ['/api/v1/reports/coverage', '/api/v1/alarms?all=true', '/api/v1/campaigns/yearly/report']) {
    const { status, body } = await get(path)
    assert.equal(status, 200, path)
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    assert.match(text, /mine-vm/, path)
    assert.doesNotMatch(text, /other-(vm|host)/, path)
  }
  const report = (await get('/api/v1/reports/coverage')).body as { totals: { vms: number; disks: number } }
  assert.equal(report.totals.vms, 1)

  const { alarms } = await admin.alarms({})
  const hidden = alarms.filter(({ object }) => object === vmOf('other') || object === hostOf('other'))
  assert.ok(hidden.length >= 1)
  for (const { id } of hidden) {
    assert.equal((await get(`/api/v1/alarms/${id}`)).status, 404)
    assert.equal((await get(`/api/v1/alarms/${id}/acknowledge`, 'POST')).status, 404)
    assert.equal((await get(`/api/v1/alarms/${id}/clear`, 'POST')).status, 404)
  }
  const own = alarms.find(({ object }) => object === vmOf('mine'))
  assert.equal((await get(`/api/v1/alarms/${own?.id}/acknowledge`, 'POST')).status, 200)
})

test('keys, approvals, campaign previews and alarms about keys tell of what somebody may not see only how much there is', async (context) => {
  const bench = await startBench(context, createWork)
  await bench.withDatabase(fillTwoSides)
  const keys = [{ provider: 'mine-kms', keyId: 'shared' }]
  await bench.withDatabase(async (database) => {
    const encryption = JSON.stringify({ keys, generation: 1, luksUuid: null })
    await database.updateTable('vm').set({ encryption }).execute()
    const owner = { owner_kind: 'vm' as const, owner_id: 'id-of-mine-vm', owner_name: 'mine-vm' }
    await database
      .insertInto('key')
      .values({ provider: 'mine-kms', key_id: 'shared', ...owner, task_id: null, state: 'current', created_at: 0 })
      .execute()
  })
  const { service, ca } = bench
  await service.platform.events.record({
    type: 'kms.crypto.key-unavailable',
    provider: 'mine-kms',
    keyId: 'shared',
    text: 'Key shared of provider mine-kms is gone. It is used by VMs mine-vm, other-vm.',
  })
  const admin = await bench.logIn()
  await admin.createRole({
    name: 'Keeper',
    privileges: ['System.Read', 'Cryptographer.ManageKeys', 'Cryptographer.Recrypt'],
  })
  const tokens = new Map<string, string>()
  for (const name of ['kim', 'lou']) {
    await admin.createUser({ name, password })
    const to = { kind: 'user', name } as const
    await admin.setPermission({ object: { kind: 'root', name: '/' }, to, role: 'Keeper' })
    if (name === 'kim') {
      for (const object of [
        { kind: 'vm', name: 'other-vm' },
        { kind: 'host', name: 'other-host' },
      ] as const) {
        await admin.setPermission({ object, to, role: 'NoAccess' })
      }
    }
    tokens.set(name, (await bench.client().login({ user: name, password })).token)
  }
  const asked = await admin.destroyKey('mine-kms', 'shared', { force: true })
  assert.match(asked.approval?.subject ?? '', /other-vm/)
  const send = async (user: string, path: string, body?: object) =>
    ask(service.url, ca, {
      method: body === undefined ? 'GET' : 'POST',
      path: `/api/v1${path}`,
      headers: { authorization: `Bearer ${tokens.get(user)}`, 'content-type': 'application/json' },
      body: body === undefined ? '' : JSON.stringify(body),
    })
  const id = asked.approval?.id ?? ''
  const plan = { depth: 'shallow', selection: {} }
  const asks: readonly [string, object?][] = [
    ['/key-usage'],
    ['/key-usage?provider=mine-kms&keyId=shared'],
    ['/approvals'],
    [`/approvals/${id}`],
    ['/campaign-previews', { plan }],
    ['/alarms?all=true'],
    ['/keys/mine-kms/shared/destroy', {}],
  ]
  for (const [path, body] of asks) {
    const seen = await send('lou', path, body)
    assert.match(JSON.stringify(seen.body), /other-vm/, path)
    const { body: answer } = await send('kim', path, body)
    const text = JSON.stringify(answer)
    assert.doesNotMatch(text, /other-(vm|host)/, path)
    if (!path.startsWith('/alarms')) assert.match(text, /"hiddenCount":1|1 use that you may not see/, path)
  }
  assert.match(JSON.stringify((await send('kim', '/alarms?all=true')).body), /you may not see in full/)
  assert.equal((await send('kim', '/key-usage?vm=other-vm')).status, 404)
  const named = { plan: { depth: 'shallow', selection: { vms: ['other-vm'] } } }
  assert.equal((await send('kim', '/campaign-previews', named)).status, 404)
  const refused = await send('kim', `/approvals/${id}/approve`, { digest: asked.approval?.digest })
  assert.match(JSON.stringify(refused.body), /of 2 things that would die you may not see/)
})
