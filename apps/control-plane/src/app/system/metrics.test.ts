import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { RestClient, RestClientError } from '@cryptvisor/rest'
import { createWork } from '../../create-work.ts'
import { type Bench, password, startBench } from '../../testing/bench.ts'

/** The metrics by name and labels, as text. */
async function read(bench: Bench, token: string): Promise<ReadonlyMap<string, string>> {
  await using client = new RestClient({ url: bench.service.url, ca: bench.ca, bearerToken: token })
  const found = new Map<string, string>()
  for await (const line of client.lines({ method: 'GET', path: '/metrics' })) {
    const [, name, value] = /^([a-zA-Z_][a-zA-Z0-9_]*(?:\{[^}]*\})?) (\S+)$/.exec(line) ?? []
    if (name !== undefined && value !== undefined) found.set(name, value)
    else assert.match(line, /^(# (HELP|TYPE) .*)?$|_bucket\{/, 'each line is of the text format')
  }
  return found
}

test('what is on record is counted, without names of VMs, hosts or users, and what is not known is missing', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  const { token } = await admin.login({ user: 'admin', password })
  const empty = await read(bench, token)
  assert.equal(empty.get('cryptvisor_vms{encryption="plain"}'), '0')
  assert.equal(empty.get('cryptvisor_hosts{connection="disconnected"}'), '0')
  assert.equal(empty.get('cryptvisor_backup_age_seconds'), undefined)
  assert.equal(empty.get('cryptvisor_host_certificate_seconds_left'), undefined)
  assert.equal(empty.get('cryptvisor_ready{check="database"}'), '1')
  assert.ok(Number(empty.get('cryptvisor_ca_certificate_seconds_left')) > 3600)
  assert.ok(Number(empty.get('cryptvisor_sessions{kind="session"}')) >= 2)
  assert.equal(empty.get('cryptvisor_build_info{version="1.2.3"}'), '1')

  const now = Date.now()
  const long = now - 100 * 86_400_000
  await bench.withDatabase(async (database) => {
    await database.insertInto('cluster').values({ id: 'c', name: 'secret-cluster' }).execute()
    for (const [index, state] of (['current', 'current', 'retired'] as const).entries()) {
      await database
        .insertInto('key')
        .values({
          provider: 'vault',
          key_id: `key-${index}`,
          owner_kind: 'vm',
          owner_id: 'v',
          owner_name: 'secret-vm',
          task_id: null,
          state,
          created_at: index === 0 ? long : now,
        })
        .execute()
    }
    await database.updateTable('backup_schedule').set({ last_success_at: now, last_failure: 'no room' }).execute()
  })
  await admin.createCluster({ name: 'another' })
  await bench.service.platform.events.record({ type: 'system.backup-failed', text: 'no room' })
  const full = await read(bench, token)
  const errorCount = Number(full.get('cryptvisor_events_total{severity="error"}'))
  await bench.service.platform.events.record({ type: 'kms.crypto.error', text: 'once more' })
  const next = await read(bench, token)
  assert.equal(full.get('cryptvisor_keys{provider="vault",state="current"}'), '2')
  assert.equal(full.get('cryptvisor_keys_older_than{provider="vault",days="90"}'), '1')
  assert.equal(full.get('cryptvisor_keys_older_than{provider="vault",days="180"}'), undefined)
  assert.equal(full.get('cryptvisor_backup_failing'), '1')
  assert.ok(full.has('cryptvisor_backup_age_seconds'))
  assert.ok(errorCount >= 1)
  assert.ok(Number(next.get('cryptvisor_events_total{severity="error"}')) > errorCount)
  assert.ok(
    full.has('cryptvisor_http_request_seconds_count{method="POST",route="/api/v1/clusters",status="201"}'),
    'requests are measured by their route',
  )
  assert.deepEqual(
    [...full.keys()].filter((name) => /secret|another|admin/.test(name)),
    [],
  )
})

test('it takes the privilege Global.Health and nothing else', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await admin.createRole({ name: 'watcher', privileges: ['Global.Health'] })
  await admin.createRole({ name: 'reader', privileges: ['System.Read'] })
  for (const name of ['watcher', 'reader']) await admin.createUser({ name, password, role: name })
  const tokenOf = async (user: string) => (await bench.client().login({ user, password })).token
  assert.ok((await read(bench, await tokenOf('watcher'))).size > 20)
  await assert.rejects(read(bench, await tokenOf('reader')), (error) => {
    return error instanceof RestClientError && error.answerCode === 'no-privilege'
  })
})

test('each metric is in the table of docs/operations.md, and the alert rules name none but these', async (context) => {
  const bench = await startBench(context, createWork)
  const admin = await bench.logIn()
  const made = new Set<string>()
  for await (const line of admin.metrics()) {
    const name = /^# TYPE (cryptvisor_[a-z0-9_]+) /.exec(line)?.[1]
    if (name !== undefined) made.add(name)
  }
  const read = (name: string) => readFileSync(new URL(`../../../../../docs/${name}`, import.meta.url), 'utf8')
  const table = read('operations.md')
    .split('\n')
    .filter((line) => line.startsWith('| `cryptvisor_'))
  const documented = table.flatMap((line) => (line.split('|')[1] ?? '').match(/cryptvisor_[a-z0-9_]+/g) ?? [])
  assert.deepEqual(documented.toSorted(), [...made].toSorted())
  const expressions = read('alerts.yml').match(/expr: .*/g) ?? []
  assert.ok(expressions.length > 5)
  for (const name of expressions.flatMap((line) => line.match(/cryptvisor_[a-z0-9_]+/g) ?? [])) {
    assert.ok(made.has(name), `${name} is a metric`)
  }
})
