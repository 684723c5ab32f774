import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attribute } from '@cryptvisor/kmip'
import { KmipClient } from '@cryptvisor/kmip-client'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { PykmipServer, pykmipSkip, temporaryFolder } from '@cryptvisor/testkit'
import { StandardKeyProvider } from './index.ts'
import { exerciseKeyProvider } from './testing/index.ts'

const dead = { name: 'dead', host: '127.0.0.1', port: 1 }

test('PyKMIP as a key provider', { skip: pykmipSkip }, async (context) => {
  await using server = await PykmipServer.start(temporaryFolder(context))
  const pykmip = { ...server.options, name: 'pykmip' }
  await using provider = new StandardKeyProvider({ id: 'kms', servers: [pykmip] })
  await exerciseKeyProvider(context, provider, { takesLabels: false, remembersDestroyed: false })

  await context.test('the next server is asked when one cannot be reached', async () => {
    await using two = new StandardKeyProvider({ id: 'two', servers: [{ ...pykmip, ...dead }, pykmip] })
    const keyId = await two.createKey()
    const status = await two.probe()
    assert.equal(status.health, 'yellow')
    assert.deepEqual(
      status.servers.map(({ name, health, isReachable, isTrusted }) => ({ name, health, isReachable, isTrusted })),
      [
        { name: 'dead', health: 'red', isReachable: false, isTrusted: false },
        { name: 'pykmip', health: 'green', isReachable: true, isTrusted: true },
      ],
    )
    assert.match(status.reason, /dead/)
    await two.destroyKey(keyId)
  })

  await context.test('no server can be reached', async () => {
    const failoverLimits = { roundsMax: 2, pauseMs: 1 }
    await using none = new StandardKeyProvider({ id: 'none', servers: [{ ...pykmip, ...dead }], failoverLimits })
    await assert.rejects(none.createKey(), { code: 'unreachable', providerId: 'none', server: 'dead', keyId: null })
    await assert.rejects(none.describeKey('1'), { code: 'unreachable', keyId: '1' })
    assert.equal((await none.probe()).health, 'red')
  })

  await context.test('a server that is not trusted, or does not trust us', async () => {
    const { authority: stranger } = await CertificateAuthority.create('stranger', 1, () => new Date())
    await using wrong = new StandardKeyProvider({
      id: 'wrong',
      servers: [{ ...pykmip, caPem: stranger.certificate }],
    })
    await assert.rejects(wrong.createKey(), { code: 'not-trusted' })
    const [status] = (await wrong.probe()).servers
    assert.deepEqual([status?.isReachable, status?.isTrusted, status?.health], [true, false, 'red'])
    using unknown = await stranger.issue({ commonName: 'unknown', usages: ['client'], validDays: 1 })
    await using refused = new StandardKeyProvider({
      id: 'refused',
      servers: [{ ...pykmip, clientCertificatePem: unknown.certificate, clientKey: unknown.privateKey }],
    })
    await assert.rejects(refused.createKey(), { code: 'not-trusted' })
    assert.throws(() => new StandardKeyProvider({ id: 'bad', servers: [{ ...pykmip, clientCertificatePem: '' }] }), {
      code: 'not-trusted',
    })
  })

  await context.test('what is no raw AES-256 key is not given out', async () => {
    await using client = new KmipClient(server.options)
    const keyBlock = (size: number) => ({
      keyFormatType: 'Raw' as const,
      keyValue: { keyMaterial: Secret.random(size), attribute: [] },
    })
    const templateAttribute = { name: [], attribute: [attribute('Cryptographic Usage Mask', 12)] }
    const short = await client.register({
      objectType: 'SymmetricKey',
      templateAttribute,
      object: { keyBlock: { ...keyBlock(16), cryptographicAlgorithm: 'AES', cryptographicLength: 128 } },
    })
    const other = await client.register({
      objectType: 'SymmetricKey',
      templateAttribute,
      object: { keyBlock: { ...keyBlock(32), cryptographicAlgorithm: 'Camellia', cryptographicLength: 256 } },
    })
    const secret = await client.register({
      objectType: 'SecretData',
      templateAttribute,
      object: { secretDataType: 'Password', keyBlock: keyBlock(32) },
    })
    for (const { uniqueIdentifier } of [short, other, secret]) {
      await assert.rejects(provider.getKey(uniqueIdentifier), { code: 'key-unusable', keyId: uniqueIdentifier })
    }
    assert.equal((await provider.describeKey(secret.uniqueIdentifier))?.objectType, 'SecretData')
  })

  await context.test('another identity’s key is denied', async () => {
    const keyId = await provider.createKey()
    using other = await server.authority.issue({ commonName: 'other', usages: ['client'], validDays: 1 })
    await using stranger = new StandardKeyProvider({
      id: 'stranger',
      servers: [{ ...pykmip, clientCertificatePem: other.certificate, clientKey: other.privateKey }],
    })
    await assert.rejects(stranger.getKey(keyId), { keyId, providerId: 'stranger' })
    assert.deepEqual(await stranger.listKeys({ limit: 10 }), [])
    await provider.destroyKey(keyId)
  })
})
