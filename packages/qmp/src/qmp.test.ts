import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { holdsTrace, temporaryFolder } from '@cryptvisor/testkit'
import { connectQmp } from './connect-qmp.ts'
import { MasterSecret } from './master-secret.ts'
import { commandsMax, type QmpTrace } from './qmp.ts'
import { QmpError, type QmpErrorCode } from './qmp-error.ts'
import { FakeQemu, greetingLine, type SentCommand } from './testing/fake-qemu.ts'

const code = (expected: QmpErrorCode) => (error: unknown) => error instanceof QmpError && error.code === expected

const event = (name: string, data: object = {}) =>
  `${JSON.stringify({ timestamp: { seconds: 1, microseconds: 0 }, event: name, data })}\n`

const ok = ({ id }: SentCommand) => `{"return":{},"id":${id}}\n`

test('the greeting is told, capabilities are agreed on, commands go under IDs of their own', async (context) => {
  await using fake = await FakeQemu.start(temporaryFolder(context), ({ id, execute }) =>
    execute === 'query-status' ? `{"id":${id},"return":{"running":false,"status":"prelaunch"}}\n` : ok({ id }),
  )
  using qmp = await connectQmp(fake.path)
  assert.deepEqual(qmp.greeting.version.qemu, { major: 7, minor: 2, micro: 22 })
  assert.deepEqual(await qmp.execute('query-status'), { running: false, status: 'prelaunch' })
  await qmp.execute('object-del', { id: 'k' })
  await qmp.execute('yank', { instances: [] }, { outOfBand: true })
  assert.deepEqual(fake.commands, [
    { execute: 'qmp_capabilities', arguments: { enable: ['oob'] }, id: 1 },
    { execute: 'query-status', id: 2 },
    { execute: 'object-del', arguments: { id: 'k' }, id: 3 },
    { 'exec-oob': 'yank', arguments: { instances: [] }, id: 4 },
  ])
})

test('a conversation may be cut at each of its bytes', async (context) => {
  const answer = ({ id }: SentCommand) =>
    `${event('JOB_STATUS_CHANGE', { id: 'ä', status: 'ready' })}{"id":${id},"return":{"running":true,"status":"running"}}\n`
  await using fake = await FakeQemu.start(temporaryFolder(context), () => null)
  using qmp = await connectQmp(fake.path)
  const bytes = Buffer.from(answer({ id: 0 }))
  for (let cut = 1; cut < bytes.length; cut++) {
    const asked = qmp.execute('query-status')
    const whole = Buffer.from(answer({ id: cut + 1 }))
    const told = qmp.event('JOB_STATUS_CHANGE', { timeoutMs: 5000 })
    fake.say(whole.subarray(0, cut))
    await new Promise((resolve) => setImmediate(resolve))
    fake.say(whole.subarray(cut))
    assert.equal((await asked).status, 'running')
    assert.equal((await told).data.id, 'ä')
  }
})

test('answers find their commands in whatever order they come', async (context) => {
  const held: number[] = []
  await using fake = await FakeQemu.start(temporaryFolder(context), ({ id }, self) => {
    held.push(id)
    if (held.length < 3) return null
    const answers = held.toReversed().map((each) => `{"id":${each},"return":${JSON.stringify(`answer ${each}`)}}\n`)
    self.say(answers.join(''))
    return null
  })
  using qmp = await connectQmp(fake.path)
  const asked = [1, 2, 3].map(() => qmp.execute('human-monitor-command', { 'command-line': 'info' }))
  assert.deepEqual(await Promise.all(asked), ['answer 2', 'answer 3', 'answer 4'])
})

test('a refusal has QEMU’s words and class', async (context) => {
  await using fake = await FakeQemu.start(
    temporaryFolder(context),
    ({ id }) => `{"id":${id},"error":{"class":"DeviceNotFound","desc":"Device 'd' not found"}}\n`,
  )
  using qmp = await connectQmp(fake.path)
  await assert.rejects(qmp.execute('device_del', { id: 'd' }), (error) => {
    assert.ok(error instanceof QmpError)
    assert.equal(error.code, 'refused')
    assert.equal(error.qemuClass, 'DeviceNotFound')
    assert.match(error.message, /^QEMU refused device_del: Device 'd' not found$/)
    return true
  })
})

test('an answer of another shape is refused alone', async (context) => {
  const answers: Record<string, string> = {
    'query-jobs': '[{"id":"m","type":"mirror","status":"finished","current-progress":1,"total-progress":2}]',
    'query-status': '[]',
    'query-pci': `[{"bus":0,"devices":${'[{"pci_bridge":'.repeat(200)}0${'}]'.repeat(200)}}]`,
    'object-del': '7',
  }
  await using fake = await FakeQemu.start(
    temporaryFolder(context),
    ({ id, execute }) => `{"id":${id},"return":${answers[execute ?? ''] ?? '{}'}}\n`,
  )
  using qmp = await connectQmp(fake.path)
  await assert.rejects(qmp.execute('query-jobs'), /query-jobs\[0\]\.status: expected one of/)
  await assert.rejects(qmp.execute('query-status'), code('bad-answer'))
  await assert.rejects(qmp.execute('query-pci'), code('bad-answer'))
  await assert.rejects(qmp.execute('object-del', { id: 'k' }), code('bad-answer'))
  await qmp.execute('cont')
})

test('what QEMU does not answer in time is given up, and its late answer disturbs nobody', async (context) => {
  let late: number | null = null
  await using fake = await FakeQemu.start(temporaryFolder(context), ({ id, execute }) => {
    if (execute !== 'stop') return late === null ? ok({ id }) : `{"id":${late},"return":{}}\n${ok({ id })}`
    late = id
    return null
  })
  using qmp = await connectQmp(fake.path)
  await assert.rejects(qmp.execute('stop', {}, { timeoutMs: 20 }), code('timeout'))
  await qmp.execute('cont')
  await assert.rejects(qmp.execute('stop', {}, { signal: AbortSignal.abort() }), code('aborted'))
})

test('so many commands wait for answers, and no more', async (context) => {
  await using fake = await FakeQemu.start(temporaryFolder(context), () => null)
  using qmp = await connectQmp(fake.path)
  const asked = Array.from({ length: commandsMax }, () => qmp.execute('stop'))
  await assert.rejects(qmp.execute('stop'), code('too-many'))
  const all = Promise.allSettled(asked)
  qmp.close()
  for (const result of await all) assert.ok(result.status === 'rejected' && code('closed')(result.reason))
})

const hostile: Readonly<Record<string, { readonly says: string | Uint8Array; readonly as: QmpErrorCode }>> = {
  garbage: { says: 'HTTP/1.1 400 Bad Request\r\n\r\n', as: 'protocol' },
  'bytes that are no UTF-8': { says: Uint8Array.of(0x22, 0xff, 0x22, 0x0a), as: 'protocol' },
  'an answer to nobody': { says: '{"return":{},"id":99}\n', as: 'protocol' },
  'an answer twice': { says: '{"return":{},"id":1}\n', as: 'protocol' },
  'an answer without an ID': { says: '{"error":{"class":"GenericError","desc":"JSON parse error"}}\n', as: 'protocol' },
  'a second greeting': { says: greetingLine, as: 'protocol' },
  'a message without end': { says: Buffer.alloc(16_777_217, 0x20), as: 'too-long' },
}
for (const [name, { says, as }] of Object.entries(hostile)) {
  test(`${name} ends the connection, and everybody who waits is told`, async (context) => {
    await using fake = await FakeQemu.start(temporaryFolder(context), () => null)
    using qmp = await connectQmp(fake.path)
    const asked = assert.rejects(qmp.execute('query-jobs'), code(as))
    const told = assert.rejects(qmp.event('STOP', { timeoutMs: null }), code(as))
    fake.say(says)
    await Promise.all([asked, told])
    assert.equal((await qmp.closed).code, as)
    await assert.rejects(qmp.execute('query-jobs'), code(as))
    await assert.rejects(qmp.event('STOP', { timeoutMs: null }), code(as))
  })
}

test('a QEMU that goes in the middle of a message takes nobody along', async (context) => {
  await using fake = await FakeQemu.start(temporaryFolder(context), (_, self) => {
    self.say('{"return": {"run')
    setImmediate(() => self.hangUp())
    return null
  })
  using qmp = await connectQmp(fake.path)
  await assert.rejects(qmp.execute('query-status'), code('closed'))
  assert.match((await qmp.closed).message, /in the middle of a message/)
  using again = await connectQmp(fake.path)
  assert.equal(again.greeting.version.qemu.major, 7)
})

test('what came between asking and waiting is found, what came before the mark is not', async (context) => {
  await using fake = await FakeQemu.start(
    temporaryFolder(context),
    ({ id }) =>
      `${event('BLOCK_JOB_PENDING', { id: 'a', type: 'mirror' })}${event('STOP')}${ok({ id })}${event('RESUME')}`,
  )
  using qmp = await connectQmp(fake.path)
  const before = qmp.mark()
  const resumed = qmp.event(['RESUME', 'STOP'], { timeoutMs: 5000, where: ({ name }) => name === 'RESUME' })
  await qmp.execute('cont')
  assert.equal((await resumed).name, 'RESUME')
  const after = qmp.mark()
  const pending = await qmp.event('BLOCK_JOB_PENDING', {
    since: before,
    timeoutMs: 5000,
    where: ({ data }) => data.id === 'a',
  })
  assert.equal(pending.data.type, 'mirror')
  await assert.rejects(qmp.event('BLOCK_JOB_PENDING', { since: after, timeoutMs: 20 }), code('timeout'))
  await assert.rejects(qmp.event('STOP', { timeoutMs: 20 }), code('timeout'))
  await assert.rejects(qmp.event('STOP', { timeoutMs: null, signal: AbortSignal.timeout(20) }), code('aborted'))
  fake.hangUp()
  await qmp.closed
  assert.equal((await qmp.event('STOP', { since: before, timeoutMs: null })).name, 'STOP')
})

test('a predicate that throws fails its own wait', async (context) => {
  await using fake = await FakeQemu.start(temporaryFolder(context))
  using qmp = await connectQmp(fake.path)
  const wait = qmp.event('STOP', {
    timeoutMs: 5000,
    where: () => {
      throw new RangeError('mine')
    },
  })
  fake.say(event('STOP'))
  await assert.rejects(wait, /mine/)
  await qmp.execute('cont')
})

test('events that were dropped are not passed over in silence', async (context) => {
  await using fake = await FakeQemu.start(temporaryFolder(context), ({ id }) => event('STOP').repeat(1100) + ok({ id }))
  using qmp = await connectQmp(fake.path)
  const before = qmp.mark()
  let count = 0
  {
    using _listening = qmp.onEvent(() => count++)
    await qmp.execute('cont')
  }
  assert.equal(count, 1100)
  assert.equal((await qmp.event('STOP', { since: before, timeoutMs: 5000 })).name, 'STOP')
  await assert.rejects(qmp.event('RESUME', { since: before, timeoutMs: 5000 }), code('events-lost'))
  await qmp.execute('cont')
  assert.equal(count, 1100)
})

test('a secret goes over the wire wrapped, and into no log', async (context) => {
  await using fake = await FakeQemu.start(temporaryFolder(context))
  const traces: QmpTrace[] = []
  using qmp = await connectQmp(fake.path, { trace: (what) => void traces.push(what) })
  using master = MasterSecret.create()
  const passphrase = Buffer.from('0123456789abcdef'.repeat(4))
  using secret = Secret.from(Buffer.from(passphrase))
  await qmp.addSecret({ id: 'k', masterId: 'master' }, secret, master)
  await assert.rejects(qmp.addSecret({ id: '"', masterId: 'master' }, secret, master), RangeError)
  await qmp.execute('object-del', { id: 'k' })
  const sent = fake.commands.find(({ execute }) => execute === 'object-add')
  assert.ok(sent !== undefined && Object.keys(sent.arguments ?? {}).includes('data'))
  const keys = [passphrase, master.key.expose((key) => Buffer.from(key))]
  const log = Buffer.from(JSON.stringify(traces))
  assert.ok(traces.length >= 6)
  for (const key of keys) assert.ok(!holdsTrace(fake.received, key) && !holdsTrace(log, key))
  // `data` of the line, wrapped as it is, is not for a log either.
  assert.doesNotMatch(log.toString(), /"data":"/)
})

test('a socket whose path is longer than an address is reached', async (context) => {
  const folder = join(temporaryFolder(context), 'a'.repeat(60), 'b'.repeat(60))
  mkdirSync(folder, { recursive: true })
  // Bound by a path that is short enough, as seen from its folder.
  const back = process.cwd()
  process.chdir(folder)
  const starting = FakeQemu.start('.')
  process.chdir(back)
  await using _fake = await starting
  using qmp = await connectQmp(join(folder, 'monitor'))
  await qmp.execute('cont')
})

for (const [name, greeting] of Object.entries({
  'that says nothing': '',
  'that says something else': 'SSH-2.0-OpenSSH_9.2\r\n',
  'that speaks before it greets': event('STOP'),
})) {
  test(`a server ${name} is no QEMU`, async (context) => {
    await using fake = await FakeQemu.start(temporaryFolder(context), ok, greeting)
    await assert.rejects(connectQmp(fake.path, { greetingTimeoutMs: 50 }), code('connect-failed'))
  })
}

test('a socket that comes later is waited for, one that does not come is not for ever', async (context: TestContext) => {
  const folder = temporaryFolder(context)
  await assert.rejects(connectQmp(join(folder, 'monitor'), { withinMs: 0 }), code('connect-failed'))
  const connecting = connectQmp(join(folder, 'monitor'))
  await using _fake = await FakeQemu.start(folder)
  using qmp = await connecting
  await qmp.execute('cont')
  await assert.rejects(connectQmp(join(folder, 'other'), { signal: AbortSignal.abort() }), code('aborted'))
})
