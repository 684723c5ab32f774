import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { PresenceFilter } from 'ldapts'
import { LdapConnection } from './ldap-connection.ts'
import { type LdapServer, ldapServerOf } from './ldap-server.ts'

/** A server that answers whatever comes with what `answer` says. */
async function lyingServer(
  context: TestContext,
  tls: LdapServer['tls'],
  answer: (socket: Socket, request: Buffer) => void,
) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', (request) => answer(socket, request))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  context.after(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  // A server that listens on TCP has such an address.
  const { port } = server.address() as AddressInfo
  return { url: `ldap://127.0.0.1:${port}`, host: '127.0.0.1', port, tls } satisfies LdapServer
}

const sized = (size: number) => Buffer.from(size.toString(16).padStart(8, '0'), 'hex')
const success = Buffer.from('300c02010178070a010004000400', 'hex')
const refused = Buffer.from('300c02010178070a010204000400', 'hex')
const search = {
  base: 'dc=x',
  scope: 'sub',
  filter: new PresenceFilter({ attribute: 'cn' }),
  attributes: ['cn'],
} as const

test('StartTLS: what is no plain yes, or has something after it, begins no TLS', async (context) => {
  const cases: readonly (readonly [Buffer, RegExp])[] = [
    [refused, /does not begin TLS/],
    [Buffer.concat([success, success]), /no answer to it/],
    [Buffer.concat([success, Buffer.from([0x30])]), /no answer to it/],
    [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'.padEnd(2000)), /no answer to it/],
    [Buffer.from('300c02010161070a010004000400', 'hex'), /no answer to it/],
    [Buffer.from(success).fill(0x07, 4, 5), /no answer to it/],
    [Buffer.from('3084ffffffff'.padEnd(4000, '0'), 'hex'), /no answer to it/],
  ]
  for (const [bytes, message] of cases) {
    const server = await lyingServer(context, 'start-tls', (socket) => socket.write(bytes))
    await assert.rejects(LdapConnection.open(server, undefined), { name: 'LdapFailure', message })
  }
  const open = await lyingServer(context, 'start-tls', (socket) => socket.write(success))
  await assert.rejects(LdapConnection.open(open, undefined), { name: 'LdapFailure' })
})

test('a server that sends too much, or what is no answer, is left', async (context) => {
  const hex = (text: string) => Buffer.from(text, 'hex')
  const entry = (size: number) =>
    Buffer.concat([
      hex('3084'),
      sized(size + 17),
      hex('020102'),
      hex('6484'),
      sized(size + 8),
      hex('0400'),
      hex('3084'),
      sized(size),
      Buffer.alloc(size, 0x30),
    ])
  const floods = [
    // As many messages as fit into what is read at once, all unasked for.
    Buffer.concat(Array.from({ length: 9000 }, () => hex('300c02010561070a010004000400'))),
    hex('30847fffffff'),
    hex('3080'),
    hex('1f8100'),
    hex('30050201026a00'),
    hex('300c02010265070a010004000400').fill(0x04, 5, 6),
    hex('300c02010261070a010004000400'),
    // Lists within an entry that end later than it.
    hex('3019020102641404033d783d300d300b0401783184ffffffff0400'),
    entry(1000),
  ]
  for (const flood of floods) {
    const server = await lyingServer(context, 'none', (socket) => socket.write(flood))
    await using connection = await LdapConnection.open(server, undefined)
    await assert.rejects(connection.search(search), { name: 'LdapFailure' }, flood.toString('hex', 0, 40))
    await assert.rejects(connection.search(search), { name: 'LdapFailure', message: /the connection broke/ })
  }
  const endless = await lyingServer(context, 'none', (socket) => {
    const more = Buffer.concat(
      Array.from({ length: 4000 }, () => hex('3012020102640d04033d783d3006300404017831 00'.replace(' ', ''))),
    )
    const pump = (error?: Error | null) => {
      if (error === undefined || error === null) socket.write(more, pump)
    }
    pump()
  })
  await using connection = await LdapConnection.open(endless, undefined)
  await assert.rejects(connection.search(search), { name: 'LdapFailure', kind: 'wrong' })
})

test('a connection that broke is not made again, least of all without its TLS', async (context) => {
  let count = 0
  const server = await lyingServer(context, 'none', (socket) => {
    count++
    socket.destroy()
  })
  await using connection = await LdapConnection.open(server, undefined)
  await assert.rejects(connection.bind('cn=x', 'secret'), { name: 'LdapFailure' })
  await assert.rejects(connection.bind('cn=x', 'secret'), { name: 'LdapFailure' })
  assert.equal(count, 1)
  await assert.rejects(connection.bind('cn=x', ''), /proves nothing/)
  await assert.rejects(connection.bind('', 'secret'), /proves nothing/)
})

test('a referral is not followed', async (context) => {
  // SearchResultDone to message 2: referral (10) to ldap://192.0.2.1.
  const referral = Buffer.from('ldap://192.0.2.1')
  const body = Buffer.concat([
    Buffer.from('0a010a04000400', 'hex'),
    Buffer.from([0xa3, referral.length + 2, 0x04, referral.length]),
    referral,
  ])
  const done = Buffer.concat([Buffer.from([0x02, 0x01, 0x02, 0x65, body.length]), body])
  const server = await lyingServer(context, 'none', (socket) =>
    socket.write(Buffer.concat([Buffer.from([0x30, done.length]), done])),
  )
  await using connection = await LdapConnection.open(server, undefined)
  await assert.rejects(connection.search(search), { name: 'LdapFailure', kind: 'wrong', message: /not followed/ })
})

test('addresses of directories: TLS, but on this machine', () => {
  assert.deepEqual(ldapServerOf('ldaps://dc1.example.org', {}), {
    ...{ url: 'ldaps://dc1.example.org', host: 'dc1.example.org', port: 636, tls: 'at-once' },
  })
  const read = (text: string, startTls?: boolean) => {
    const server = ldapServerOf(text, startTls === undefined ? {} : { startTls })
    return typeof server === 'string' ? server : `${server.host} ${server.port} ${server.tls}`
  }
  assert.equal(read('ldap://dc1.example.org'), 'dc1.example.org 389 start-tls')
  assert.equal(read('ldaps://[::1]:1636/'), '::1 1636 at-once')
  assert.equal(read('ldap://127.0.0.1:389', false), '127.0.0.1 389 none')
  assert.match(read('ldap://dc1.example.org', false), /in the clear/)
  assert.match(read('ldap://127.0.0.1.example.org', false), /in the clear/)
  for (const text of ['https://dc1', 'dc1.example.org', 'ldaps://', 'ldapi:///run/x', 'x']) {
    assert.match(read(text), /expected the address/)
  }
  for (const text of ['ldaps://dc1/dc=x', 'ldaps://a:b@dc1', 'ldaps://dc1?x']) assert.match(read(text), /more in it/)
})
