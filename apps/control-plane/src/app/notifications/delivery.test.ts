import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createServer as createTls } from 'node:tls'
import type { CreateNotification } from '@cryptvisor/control-plane-api'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { SMTPServer } from 'smtp-server'
import { openControlPlaneDatabase } from '../../database/open.ts'
import { AlarmBook } from '../alarms/alarm-book.ts'
import { alarmDefinitions } from '../alarms/alarm-definitions.ts'
import { AuditLog } from '../audit/audit-log.ts'
import { AuditSigner } from '../audit/audit-signer.ts'
import { AuditTrail } from '../audit/audit-trail.ts'
import { EventLog } from '../events.ts'
import type { Principal } from '../ports.ts'
import { Delivery, retryMaxMs } from './delivery.ts'
import { Notifications } from './notifications.ts'

const operator: Principal = { name: 'operator', privileges: new Set(), can: () => true, grantedOn: [] }
const log = { info: () => {}, warn: () => {}, error: (_fields: object, text: string) => assert.fail(text) }

/** Events, the audit and their delivery in a database of its own, with a clock of its own. */
async function openWorld(context: TestContext) {
  let passedMs = 0
  const clock = () => Date.now() + passedMs
  const database = await openControlPlaneDatabase(':memory:')
  using rootKey = Secret.random(32)
  const barrier = await Barrier.initialize(new MemoryPhysical(), rootKey)
  const signer = await AuditSigner.open(database, barrier)
  const trail = new AuditTrail(database, signer, clock)
  const events = new EventLog(database, clock, [trail, new AlarmBook(alarmDefinitions, clock)])
  const audit = new AuditLog(database, signer, events, clock)
  const notifications = new Notifications(database, events, barrier, 'cp.example', clock)
  const start = () =>
    new Delivery({ database, events, audit, notifications, hostName: 'cp.example', clock, random: () => 1, log })
  let delivery = start()
  context.after(async () => {
    await delivery[Symbol.asyncDispose]()
    await database.destroy()
  })
  const deliver = async () => {
    await delivery.look()
    await delivery.idle()
  }
  return {
    database,
    events,
    notifications,
    deliver,
    /** As after a restart of the process. */
    restart: async () => {
      await delivery[Symbol.asyncDispose]()
      delivery = start()
    },
    pass: (ms: number) => {
      passedMs += ms
    },
    add: async (request: CreateNotification, secret?: string) => {
      await notifications.create(request, operator)
      if (secret === undefined) return
      using bytes = Secret.from(Buffer.from(secret))
      await notifications.setSecret(request.name, bytes, operator)
    },
    happen: (text: string) => events.record({ type: 'vm.created', vm: 'db1', text }),
  }
}

interface Hook {
  readonly body: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

/** A receiver of webhooks that answers what it is told to. */
async function startHook(context: TestContext, listen: (listener: RequestListener) => ReturnType<typeof createHttp>) {
  const got: Hook[] = []
  const answers = { status: 204, headers: {} }
  const server = listen((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      got.push({ body: Buffer.concat(chunks).toString(), headers: request.headers })
      response.writeHead(answers.status, answers.headers).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.close()
    server.closeAllConnections()
  })
  // A server that listens on TCP has an address of this kind.
  return { got, answers, port: (server.address() as AddressInfo).port }
}

async function serverIdentity() {
  const { authority, privateKey } = await CertificateAuthority.create('receiver CA', 1, () => new Date())
  privateKey[Symbol.dispose]()
  using made = await authority.issue({ commonName: 'receiver', usages: ['server'], hosts: ['127.0.0.1'], validDays: 1 })
  return {
    ca: authority.certificate,
    cert: made.certificate,
    key: made.privateKey.expose((bytes) => Buffer.from(bytes)),
  }
}

const textsOf = (hooks: readonly Hook[]) => hooks.map(({ body }) => JSON.parse(body).event.text)

test('webhooks: signed, in order, filtered, over TLS to a receiver that is verified', async (context) => {
  const world = await openWorld(context)
  const { ca, cert, key } = await serverIdentity()
  const hook = await startHook(context, (listener) => createHttps({ cert, key }, listener))
  const url = `https://127.0.0.1:${hook.port}/hook`
  await world.happen('before')
  await world.add({ name: 'hook', types: ['vm.*'], webhook: { url, ca } }, 'the-signing-key')
  await world.happen('one')
  await world.events.record({ type: 'host.connected', host: 'a', text: 'not wanted' })
  await world.happen('two')
  await world.deliver()
  await world.deliver()
  assert.deepEqual(textsOf(hook.got), ['one', 'two'])
  const [first] = hook.got
  assert.ok(first)
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signature } = first.headers
  const expected = createHmac('sha256', 'the-signing-key').update(`${id}.${time}.${first.body}`).digest('base64')
  assert.equal(signature, `v1,${expected}`)
  assert.equal(new Set(hook.got.map(({ headers }) => headers['webhook-id'])).size, 2)
  assert.equal((await world.notifications.show('hook')).state, 'working')
  // A receiver under another CA is told nothing.
  await world.add({ name: 'other', webhook: { url, ca: (await serverIdentity()).ca } }, 'k')
  await assert.rejects(world.notifications.test('other'), { code: 'notification-failed' })
  assert.equal(hook.got.length, 2)
})

test('what fails is tried again later and is not lost in a restart; a long failure is an alarm that ends with it', async (context) => {
  const world = await openWorld(context)
  const hook = await startHook(context, createHttp)
  await world.add({ name: 'hook', types: ['vm.created'], webhook: { url: `http://127.0.0.1:${hook.port}/` } }, 'k')
  hook.answers.status = 503
  await world.happen('one')
  await world.happen('two')
  await world.deliver()
  await world.deliver()
  assert.equal(hook.got.length, 1, 'it is not tried again at once')
  for (let tries = 0; tries < 5; tries++) {
    world.pass(retryMaxMs + 1)
    await world.deliver()
  }
  const failing = await world.notifications.show('hook')
  assert.deepEqual([failing.state, failing.failedCount, failing.losses], ['failing', 6, []])
  assert.match(failing.lastError ?? '', /answered with status 503/)
  const alarms = async () =>
    (await world.database.selectFrom('alarm').selectAll().where('cleared_at', 'is', null).execute()).map(
      ({ definition, object }) => `${definition} ${object}`,
    )
  assert.deepEqual(await alarms(), ['notification.undeliverable hook'])
  await world.restart()
  hook.answers.status = 200
  hook.got.length = 0
  world.pass(retryMaxMs + 1)
  await world.deliver()
  assert.deepEqual(textsOf(hook.got), ['one', 'two'])
  assert.deepEqual(await alarms(), [])
})

test('what is refused for good is given up and said; what follows is sent', async (context) => {
  const world = await openWorld(context)
  const hook = await startHook(context, createHttp)
  await world.add({ name: 'hook', types: ['vm.created'], webhook: { url: `http://127.0.0.1:${hook.port}/` } }, 'k')
  hook.answers.status = 302
  Object.assign(hook.answers.headers, { location: `http://127.0.0.1:${hook.port}/elsewhere` })
  await world.happen('refused')
  for (let tries = 0; tries < 5; tries++) {
    await world.deliver()
    world.pass(retryMaxMs + 1)
  }
  assert.equal(hook.got.length, 5, 'a redirect is not followed')
  hook.answers.status = 200
  await world.happen('next')
  await world.deliver()
  assert.deepEqual(textsOf(hook.got.slice(5)), ['next'])
  const { losses } = await world.notifications.show('hook')
  assert.deepEqual(
    losses.map(({ count }) => count),
    [1],
  )
  assert.equal((await world.events.list({ type: 'notification.undeliverable', limit: 9 })).length, 1)
})

test('after a day without an answer what is a day old is given up', async (context) => {
  const world = await openWorld(context)
  await world.add({ name: 'hook', types: ['vm.created'], webhook: { url: 'http://127.0.0.1:9/' } }, 'k')
  await world.happen('old')
  await world.deliver()
  world.pass(25 * 3_600_000)
  await world.happen('new')
  await world.deliver()
  const { losses, waitingCount } = await world.notifications.show('hook')
  assert.equal(losses[0]?.count, 1)
  assert.ok(waitingCount > 0)
})

test('addresses that nobody should be made to call are refused', async (context) => {
  const world = await openWorld(context)
  for (const url of [
    'http://hooks.example.org/',
    'https://169.254.169.254/latest/meta-data',
    'https://[fe80::1]/',
    'https://0.0.0.0/',
    'ftp://example.org/',
    'https://user:secret@example.org/',
    'nothing',
  ]) {
    const made = world.notifications.create({ name: 'x', webhook: { url } }, operator)
    await assert.rejects(made, { code: 'invalid', field: 'webhook.url' }, url)
  }
  const syslog = { host: 'logs.example.org', port: 514, transport: 'tcp' } as const
  await assert.rejects(world.notifications.create({ name: 'x', syslog }, operator), { field: 'syslog.transport' })
  const email = { host: 'mail.example.org', port: 25, security: 'none' as const, from: 'a@b.c', to: ['d@e.f'] }
  await assert.rejects(world.notifications.create({ name: 'x', email }, operator), { field: 'email.security' })
  await assert.rejects(world.notifications.create({ name: 'x' }, operator), { code: 'invalid' })
})

test('a secret lies sealed, opens for its own address only, and is shown to nobody', async (context) => {
  const world = await openWorld(context)
  const hook = await startHook(context, createHttp)
  await world.add({ name: 'hook', webhook: { url: 'http://127.0.0.1:9/' } }, 'a-secret-that-is-long')
  const row = await world.database.selectFrom('notification_target').selectAll().executeTakeFirstOrThrow()
  assert.ok(!JSON.stringify([row, await world.notifications.list()]).includes('a-secret-that-is-long'))
  assert.ok(row.secret_sealed !== null && !Buffer.from(row.secret_sealed).includes('a-secret-that-is-long'))
  const config = JSON.stringify({ webhook: { url: `http://127.0.0.1:${hook.port}/` } })
  await world.database.updateTable('notification_target').set({ config }).execute()
  await assert.rejects(world.notifications.test('hook'), { name: 'KeyStoreError' })
  assert.deepEqual(hook.got, [])
})

for (const security of ['starttls', 'tls'] as const) {
  test(`mail by ${security} with a password; many events are one mail`, async (context) => {
    const world = await openWorld(context)
    const { ca, cert, key } = await serverIdentity()
    const mails: string[] = []
    const server = new SMTPServer({
      secure: security === 'tls',
      cert,
      key,
      onAuth: ({ username, password }, _session, done) =>
        done(username === 'me' && password === 'pass word' ? null : new Error('no'), { user: 'me' }),
      onData: (stream, session, done) => {
        const chunks: Buffer[] = []
        stream.on('data', (chunk: Buffer) => chunks.push(chunk))
        stream.on('end', () => {
          assert.ok(session.secure)
          mails.push(Buffer.concat(chunks).toString())
          done()
        })
      },
    })
    server.listen(0, '127.0.0.1')
    await once(server.server, 'listening')
    context.after(() => new Promise<void>((resolve) => server.close(() => resolve())))
    // As above.
    const { port } = server.server.address() as AddressInfo
    const email = {
      host: '127.0.0.1',
      port,
      security,
      from: 'cp@example.org',
      to: ['ops@example.org'],
    }
    await world.add({ name: 'mail', types: ['vm.created'], email: { ...email, user: 'me', ca } }, 'pass word')
    for (const text of ['one', 'two', 'three']) await world.happen(text)
    await world.deliver()
    assert.equal(mails.length, 1)
    assert.match(mails[0] ?? '', /^Subject: \[Cryptvisor\] info: vm\.created and 2 more/m)
    for (const text of ['one', 'two', 'three']) assert.ok(mails[0]?.includes(text))
    await world.add({ name: 'wrong', email: { ...email, user: 'me', ca } }, 'another')
    await assert.rejects(world.notifications.test('wrong'), { code: 'notification-failed' })
  })
}

test('mail goes to no address that nothing is sent to, whatever name it has', async (context) => {
  const world = await openWorld(context)
  // How resolvers read a number: 169.254.169.254, where clouds keep credentials of the machine.
  const email = { host: '2852039166', port: 25, security: 'tls' as const, from: 'cp@example.org', to: ['a@b.c'] }
  await world.add({ name: 'mail', email })
  await assert.rejects(world.notifications.test('mail'), {
    code: 'notification-failed',
    message: /2852039166 has the address 169\.254\.169\.254, to which nothing is sent/,
  })
})

/** Collects what senders write until they close. */
async function startSyslog(
  context: TestContext,
  listen: (take: (socket: Socket) => void) => ReturnType<typeof createTcp>,
) {
  const got: Buffer[] = []
  const sockets = new Set<Socket>()
  const server = listen((socket) => {
    sockets.add(socket)
    socket.on('data', (chunk: Buffer) => got.push(chunk))
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { text: () => Buffer.concat(got), port: (server.address() as AddressInfo).port }
}

/** RFC 5425, 4.3: takes octet-counted frames apart. */
function framesIn(bytes: Buffer): string[] {
  const frames: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const size = Number(bytes.toString('ascii', at, space))
    frames.push(bytes.toString('utf8', space + 1, space + 1 + size))
    at = space + 1 + size
  }
  return frames
}

test('syslog: RFC 5424 over TLS with octet counting, with a client certificate; the audit as it is chained', async (context) => {
  const world = await openWorld(context)
  const { ca, cert, key } = await serverIdentity()
  const receiver = await startSyslog(context, (take) =>
    createTls({ cert, key, ca, requestCert: true, rejectUnauthorized: false }, (socket) => {
      assert.equal(socket.getPeerCertificate().subject.CN, 'receiver')
      take(socket)
    }),
  )
  const syslog = { host: '127.0.0.1', port: receiver.port, transport: 'tls', ca, clientCertificate: cert } as const
  await world.happen('"quoted"] ü')
  await world.add({ name: 'siem', source: 'audit', fromStart: true, syslog }, key.toString())
  await world.deliver()
  const frames = framesIn(receiver.text())
  const [first] = frames
  assert.match(
    first ?? '',
    /^<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z cp\.example cryptvisor - event \[cryptvisor@32473 id="[^"]+\/audit\/1" /,
  )
  const records = frames.map((frame) => JSON.parse(frame.slice(frame.indexOf('\ufeff') + 1)))
  assert.deepEqual(
    records.map(({ position }) => position),
    [1, 2, 3].slice(0, records.length),
  )
  assert.equal(records[0].text, '"quoted"] ü')
})

test('syslog: structured data is escaped, and plain TCP goes to this machine only', async (context) => {
  const world = await openWorld(context)
  const receiver = await startSyslog(context, (take) => createTcp(take))
  await world.add({
    name: 'local',
    types: ['vm.created'],
    syslog: { host: '127.0.0.1', port: receiver.port, transport: 'tcp' },
  })
  await world.events.record({ type: 'vm.created', vm: 'a"b]c\\d', text: 'two\nlines' })
  await world.deliver()
  const [frame] = framesIn(receiver.text())
  assert.match(frame ?? '', /^<134>1 /)
  assert.ok(frame?.includes(String.raw`vm="a\"b\]c\\d"`))
  assert.ok(frame?.endsWith('\ufefftwo lines'))
})
