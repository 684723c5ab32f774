import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Alarm, AuditRecord, Event, NotificationTarget } from '@cryptvisor/control-plane-api'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, succeed } from './lab-under-test.ts'

const signingKey = 'a key that both sides know'

/** Receives webhooks: the events of those whose signature is right. */
async function startReceiver(context: TestContext) {
  const events: Event[] = []
  const state = { status: 200 }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = request.headers
      const body = Buffer.concat(chunks).toString()
      const right = createHmac('sha256', signingKey).update(`${id}.${time}.${body}`).digest('base64')
      // What a test is sent with has an event, too.
      if (state.status === 200 && signature === `v1,${right}`) events.push((JSON.parse(body) as { event: Event }).event)
      response.writeHead(state.status).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.close()
    server.closeAllConnections()
  })
  // A server that listens on TCP has an address of this kind.
  return { events, state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

const openAlarms = async (lab: LabUnderTest) =>
  (await lab.json<Alarm[]>('alarm', 'list')).map(({ definition, object }) => `${definition} ${object}`)

test('a locked VM is an alarm that is sent, acknowledged, and over when the key is back; all of it is in the audit', async (context) => {
  const lab = await LabUnderTest.start(context)
  const receiver = await startReceiver(context)
  const keyFile = lab.path('key')
  writeFileSync(keyFile, signingKey)
  const target = [
    'notification',
    'add',
    'webhook',
    'pager',
    receiver.url,
    '--type',
    'alarm.*',
    '--secret-file',
    keyFile,
  ]
  await lab.json(...target)
  await lab.json('notification', 'test', 'pager')
  assert.deepEqual(
    receiver.events.map(({ type }) => type),
    ['notification.test'],
  )
  const image = lab.path('db1.img')
  makeRawImage(image, 1_048_576, knownText())
  await lab.json('vm', 'import', 'db1', '--disk', image)
  await lab.json('vm', 'encrypt', 'db1')
  const { host } = await lab.vm('db1')
  assert.ok(host === 'host-a' || host === 'host-b')

  await lab.lab.stop('key-server')
  await lab.lab.stop(host)
  await lab.lab.start(host)
  const alarm = await eventually('the alarm', async () => {
    const alarms = await lab.json<Alarm[]>('alarm', 'list', '--object', 'db1')
    return alarms.find(({ definition }) => definition === 'vm.locked') ?? null
  })
  assert.equal(alarm.severity, 'red')
  assert.match(alarm.advice, /vm unlock/)
  const acknowledged = await lab.json<Alarm>('alarm', 'acknowledge', alarm.id)
  assert.deepEqual([acknowledged.state, acknowledged.acknowledgedBy], ['acknowledged', 'admin'])
  await eventually('the webhook', async () =>
    receiver.events.some(({ type, vm }) => type === 'alarm.red' && vm === 'db1') ? true : null,
  )

  // What happens while the receiver is away is sent when it is back.
  receiver.state.status = 503
  await lab.lab.start('key-server')
  await eventually('the alarm to be over', async () =>
    (await openAlarms(lab)).includes('vm.locked db1') ? null : true,
  )
  await eventually('a failure', async () => {
    const { failedCount } = await lab.json<NotificationTarget>('notification', 'show', 'pager')
    return failedCount > 0 ? true : null
  })
  receiver.state.status = 200
  await eventually('the late webhook', async () =>
    receiver.events.some(({ type, vm }) => type === 'alarm.cleared' && vm === 'db1') ? true : null,
  )
  const history = await lab.json<Alarm[]>('alarm', 'list', '--all', '--object', 'db1')
  assert.ok(
    history.some(({ id, state, clearedBy }) => id === alarm.id && state === 'cleared' && clearedBy === 'system'),
  )

  await lab.json('audit', 'verify')
  const keys = await lab.json<AuditRecord[]>('audit', 'list', '--kind', 'key', '--limit', '1000')
  assert.deepEqual([...new Set(keys.map(({ operation }) => operation))].toSorted(), ['key.fetch', 'key.hand-over'])
  assert.ok(keys.some(({ operation, outcome }) => operation === 'key.fetch' && outcome === 'kms-unreachable'))
  const requests = await lab.json<AuditRecord[]>(
    'audit',
    'list',
    '--kind',
    'request',
    '--user',
    'admin',
    '--limit',
    '1000',
  )
  assert.ok(
    requests.some(({ operation, outcome }) => operation.startsWith('POST /api/v1/vms') && outcome === 'success'),
  )
  await verifyExports(lab)
})

/** Exports the audit and checks the file: by the command without a service, by Python, and damaged. */
async function verifyExports(lab: LabUnderTest): Promise<void> {
  const path = lab.path('audit.jsonl')
  const { keyFingerprint } = await lab.json<{ keyFingerprint: string }>('audit', 'export', path)
  await lab.json('audit', 'verify', path, '--key-fingerprint', keyFingerprint)
  const guide = readFileSync(new URL('../docs/audit.md', import.meta.url), 'utf8')
  const script = /```python\n([\s\S]+?)```/.exec(guide)?.[1]
  assert.ok(script !== undefined)
  await succeed('python3', ['-', path], script)
  const other = await lab.cryptvisor('audit', 'verify', path, '--key-fingerprint', 'a'.repeat(64))
  assert.equal(other.exitCode, 1)
  assert.match(other.stderr, /signed by another key/)
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  const damages: readonly (readonly [name: string, lines: readonly string[], message: RegExp])[] = [
    ['changed', lines.map((line, index) => (index === 3 ? line.replace('"success"', '"invalid"') : line)), /record 3 /],
    ['removed', lines.toSpliced(5, 1), /record 5 is missing/],
    ['cut', lines.slice(0, -3), /breaks off/],
  ]
  for (const [name, damaged, message] of damages) {
    const copy = lab.path(`${name}.jsonl`)
    writeFileSync(copy, `${damaged.join('\n')}\n`)
    const { exitCode, stderr } = await lab.cryptvisor('audit', 'verify', copy)
    assert.equal(exitCode, 1, name)
    assert.match(stderr, message, name)
  }
  const pruned = await lab.json<{ checkpoint: { position: number } }>(
    'audit',
    'prune',
    lab.path('old.jsonl'),
    '--before',
    '0m',
  )
  assert.ok(pruned.checkpoint.position > 5)
  const { firstPosition } = await lab.json<{ firstPosition: number }>('audit', 'verify')
  assert.equal(firstPosition, pruned.checkpoint.position + 1)
}
