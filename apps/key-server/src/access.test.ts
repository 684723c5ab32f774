import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { customAttribute } from '@cryptvisor/kmip'
import { KmipClientError } from '@cryptvisor/kmip-client'
import { RestClient, RestClientError } from '@cryptvisor/rest'
import { Secret } from '@cryptvisor/secret'
import { KeyServerProcess } from './testing/key-server-process.ts'
import { createRequest } from './testing/requests.ts'

test('who sees what: owner, other client, administrator', async (context) => {
  const server = await KeyServerProcess.create(context)
  const [oneFolder, otherFolder] = [await server.issueClient('one'), await server.issueClient('other')]
  await server.start()
  const [one, other, admin] = [server.client(oneFolder), server.client(otherFolder), server.admin()]
  const { uniqueIdentifier: id } = await one.create(createRequest)
  await one.addAttribute({ uniqueIdentifier: id, attribute: customAttribute('x-Name', 'web') })
  await one.addAttribute({
    uniqueIdentifier: id,
    attribute: customAttribute('x-Bytes', { type: 'ByteString', value: Uint8Array.of(0xab, 1) }),
  })
  await one.activate({ uniqueIdentifier: id })

  // What belongs to somebody else answers exactly as what does not exist.
  const refusals = await Promise.all(
    [id, 'no-such-object'].map((uniqueIdentifier) =>
      other.get({ uniqueIdentifier }).then(
        () => assert.fail('it was given out'),
        (error: unknown) => (error instanceof KmipClientError ? error.refusal : assert.fail(String(error))),
      ),
    ),
  )
  assert.deepEqual(refusals[0], refusals[1])
  assert.equal(refusals[0]?.resultReason, 'ItemNotFound')
  assert.deepEqual((await other.locate({ attribute: [customAttribute('x-Name', 'web')] })).uniqueIdentifier, [])
  assert.deepEqual((await one.locate({ attribute: [customAttribute('x-Name', 'web')] })).uniqueIdentifier, [id])

  const object = await admin.object(id)
  assert.deepEqual([object.owner, object.objectType, object.state], ['one', 'SymmetricKey', 'Active'])
  const named = (name: string) => object.attributes.find((attribute) => attribute.name === name)
  assert.deepEqual(named('x-Name'), { name: 'x-Name', index: 0, type: 'TextString', value: 'web' })
  assert.deepEqual(named('x-Bytes'), { name: 'x-Bytes', index: 0, type: 'ByteString', value: 'ab01' })
  assert.equal(named('Cryptographic Length')?.value, 256)
  assert.match(String(named('Activation Date')?.value), /^\d{4}-\d\d-\d\dT/)
  assert.equal(named('Digest'), undefined)
  await other.create(createRequest)
  assert.deepEqual((await admin.objects()).objects.map(({ owner }) => owner).toSorted(), ['one', 'other'])
  const first = await admin.objects({ limit: 1 })
  assert.ok(first.next !== null)
  assert.deepEqual(
    (await admin.objects({ before: first.next })).objects.map(({ owner }) => owner),
    ['one'],
  )
  assert.deepEqual(
    (await admin.objects({ owner: 'one' })).objects.map((each) => each.id),
    [id],
  )

  const { records } = await admin.audit({ objectId: id })
  assert.deepEqual(
    records.map(({ operation, client, resultStatus }) => [operation, client, resultStatus]),
    [
      ['Locate', 'one', 'Success'],
      ['Activate', 'one', 'Success'],
      ['AddAttribute', 'one', 'Success'],
      ['AddAttribute', 'one', 'Success'],
      ['Create', 'one', 'Success'],
    ],
  )
  const refused = (await admin.audit({ client: 'other' })).records.filter(
    (each) => each.resultReason === 'ItemNotFound',
  )
  assert.equal(refused.length, 2)
  const health = await admin.health()
  assert.deepEqual([health.kmip, health.objects], [server.kmip, 2])
  const { records: count, brokenAt } = await admin.checkAudit()
  assert.deepEqual([count, brokenAt], [health.auditRecords, null])
})

test('certificates: roles are apart, a second one of a name shares, a revoked one is out at once', async (context) => {
  const server = await KeyServerProcess.create(context)
  const first = await server.issueClient('me')
  const second = await server.issueClient('me', join(server.folder, 'second'))
  await server.start()
  const [one, two, admin] = [server.client(first), server.client(second), server.admin()]
  const { uniqueIdentifier } = await one.create(createRequest)
  await two.activate({ uniqueIdentifier })

  // An administrator is no KMIP client, and a KMIP client no administrator.
  const adminAsClient = join(server.folder, 'admin-as-client')
  mkdirSync(adminAsClient)
  copyFileSync(join(server.data, 'admin.pem'), join(adminAsClient, 'client.pem'))
  copyFileSync(join(server.data, 'admin.key'), join(adminAsClient, 'client.key'))
  copyFileSync(join(server.data, 'ca.pem'), join(adminAsClient, 'ca.pem'))
  await assert.rejects(server.client(adminAsClient).query({ queryFunction: [] }), { name: 'KmipClientError' })
  const clientAsAdmin = server.admin(join(first, 'client.pem'), join(first, 'client.key'))
  await assert.rejects(
    clientAsAdmin.objects(),
    (error) => error instanceof RestClientError && error.status === 403 && error.answerCode === 'not-an-administrator',
  )

  const { clients } = await admin.clients()
  const mine = clients.find(({ name }) => name === 'me')
  assert.equal(mine?.certificates.length, 2)
  assert.ok(mine?.lastSeenAt !== null)
  const { records } = await admin.audit({ client: 'me' })
  const used = records.find(({ operation }) => operation === 'Create')?.certificateFingerprint
  assert.ok(used !== undefined)
  await admin.revokeCertificate(used)
  await assert.rejects(one.activate({ uniqueIdentifier }), { name: 'KmipClientError' })
  assert.equal((await two.get({ uniqueIdentifier })).uniqueIdentifier, uniqueIdentifier)
  await assert.rejects(
    admin.revokeCertificate('0'.repeat(64)),
    (error) => error instanceof RestClientError && error.status === 404,
  )
})

test('whoever has a client certificate is told whether the key server lives and is ready, and nothing else of it', async (context) => {
  const server = await KeyServerProcess.create(context)
  const folder = await server.issueClient('watch')
  await server.start()
  const rest = new RestClient({
    url: server.adminUrl,
    ca: readFileSync(join(folder, 'ca.pem'), 'utf8'),
    identity: {
      certificate: readFileSync(join(folder, 'client.pem'), 'utf8'),
      privateKey: Secret.from(readFileSync(join(folder, 'client.key'))),
    },
  })
  context.after(() => rest[Symbol.asyncDispose]())
  assert.deepEqual(await rest.call({ method: 'GET', path: '/livez' }), { status: 'ok' })
  assert.deepEqual(await rest.call({ method: 'GET', path: '/readyz' }), {
    status: 'ok',
    checks: [
      { name: 'database', ok: true, text: '' },
      { name: 'barrier', ok: true, text: '' },
    ],
  })
  await assert.rejects(rest.call({ method: 'GET', path: '/v1/health' }), { status: 403 })
})
