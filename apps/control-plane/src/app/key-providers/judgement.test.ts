import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ProviderStatus, ServerStatus } from '@cryptvisor/key-provider'
import { CertificateAuthority } from '@cryptvisor/pki'
import type { ProviderIdentityRow } from '../../database/provider-rows.ts'
import type { KeyProviderRow } from '../../database/schema.ts'
import { judge } from './judgement.ts'

const dayMs = 86_400_000
const now = Date.parse('2026-06-01T00:00:00Z')

async function certificate(validDays: number): Promise<string> {
  const { authority } = await CertificateAuthority.create('KMS CA', 400, () => new Date(now))
  using identity = await authority.issue({ commonName: 'kms', usages: ['server', 'client'], validDays })
  return identity.certificate
}

const row: KeyProviderRow = {
  name: 'kms',
  display_name: null,
  is_default: 1,
  servers: JSON.stringify([
    { host: 'a', port: 1 },
    { host: 'b', port: 1 },
  ]),
  server_ca: 'a CA',
  created_at: 0,
}

const identity = (pem: string): ProviderIdentityRow => ({
  ...{ id: '1', provider: 'kms', way: 'upload', state: 'active', csr: null, created_at: 0 },
  certificate: pem,
  key_sealed: new Uint8Array(),
})

const server = (name: string, certificatePem: string | null, about: Partial<ServerStatus> = {}): ServerStatus => ({
  ...{ name, host: name, port: 1, health: 'green', reason: 'answers', isReachable: true, isTrusted: true },
  ...{ protocolVersion: '1.4', protocolVersions: ['1.4'], vendorIdentification: 'x', roundTripMs: 1 },
  certificatePem,
  ...about,
})

const found = (servers: readonly ServerStatus[], about: Partial<ProviderStatus> = {}): ProviderStatus => ({
  ...{ health: 'green', reason: 'all is well', keyMadeAt: new Date(now), servers },
  ...about,
})

test('all is well', async () => {
  const long = await certificate(90)
  const { health, text } = judge(found([server('a:1', long), server('b:1', long)]), new Map(), row, identity(long), now)
  assert.deepEqual([health, text], ['green', 'all is well'])
})

test('each thing that wants attention makes it yellow, and says what to do', async () => {
  const long = await certificate(90)
  const short = await certificate(10)
  const both = [server('a:1', long), server('b:1', long)]
  const untrusted = {
    ...row,
    server_ca: '',
    servers: row.servers.replace('"port":1}', `"port":1,"fingerprint256":"${'ab'.repeat(32)}"}`),
  }
  for (const [status, provider, active, at, expected] of [
    [
      found([server('a:1', short), server('b:1', long)]),
      row,
      long,
      now,
      /server a:1: its certificate ends in 10 days, on 2026-06-11.*renew it at the key server/,
    ],
    [
      found([server('a:1', short), server('b:1', long)]),
      row,
      long,
      now + 20 * dayMs,
      /server a:1: its certificate expired on 2026-06-11/,
    ],
    [found(both), row, short, now, /our client certificate ends in 10 days.*key-provider trust --help/],
    [
      found(both, { keyMadeAt: new Date(now - 600_000) }),
      row,
      long,
      now,
      /clock is 10 minutes behind the control plane’s: mend the time/,
    ],
    [found(both, { keyMadeAt: new Date(now + 600_000) }), row, long, now, /clock is 10 minutes ahead of/],
    [
      found([server('a:1', long)]),
      untrusted,
      long,
      now,
      /server b:1: is not asked: its certificate is not trusted yet.*trust server kms/,
    ],
  ] as const) {
    const keyMadeAt = status.keyMadeAt === null ? null : new Date(status.keyMadeAt.getTime() + at - now)
    const judged = judge({ ...status, keyMadeAt }, new Map(), provider, identity(active), at)
    assert.equal(judged.health, 'yellow', judged.text)
    assert.match(judged.text, /^keys can be had, but /)
    assert.match(judged.text, expected)
  }
})

test('what the probe said comes first and is not said twice; red stays red', async () => {
  const long = await certificate(90)
  const short = await certificate(10)
  const down = server('b:1', null, { health: 'red', reason: 'b:1 cannot be reached' })
  const yellow = found([server('a:1', long), down], {
    health: 'yellow',
    reason: 'keys can be had, but server b:1: b:1 cannot be reached',
  })
  const judged = judge(yellow, new Map(), row, identity(short), now)
  assert.match(judged.text, /^keys can be had, but server b:1: b:1 cannot be reached; our client certificate ends/)
  const red = judge(found([], { health: 'red', reason: 'no keys' }), new Map(), row, identity(short), now)
  assert.deepEqual([red.health, red.text], ['red', 'no keys'])
})

test('a server that is not trusted any more, or is down, keeps the certificate that it had: it is the one to renew', async () => {
  const ended = await certificate(10)
  const before = judge(found([server('a:1', ended)]), new Map(), row, null, now).servers
  const refused = server('a:1', null, { health: 'red', reason: 'a:1 is not trusted', isTrusted: false })
  const red = found([refused], { health: 'red', reason: 'no keys' })
  const judged = judge(red, new Map(), row, null, now + 11 * dayMs, before)
  assert.deepEqual(judged.servers[0]?.certificate, before[0]?.certificate)
  assert.deepEqual([judged.health, judged.servers[0]?.text], ['red', 'a:1 is not trusted'])
  // One that it shows now takes its place.
  const renewed = await certificate(90)
  const after = judge(found([server('a:1', renewed)]), new Map(), row, null, now, judged.servers).servers
  assert.notEqual(after[0]?.certificate?.fingerprint256, before[0]?.certificate?.fingerprint256)
})

test('red, and our client certificate is over: that is said first, since servers only close the connection then', async () => {
  const ended = identity(await certificate(10))
  const red = found([], { health: 'red', reason: 'a:1 closed the connection' })
  assert.equal(judge(red, new Map(), row, ended, now).text, 'a:1 closed the connection')
  assert.match(
    judge(red, new Map(), row, ended, now + 11 * dayMs).text,
    /^our client certificate expired on 2026-06-11.*key-provider trust --help.*; a:1 closed the connection$/,
  )
})
