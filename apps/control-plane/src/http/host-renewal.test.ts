import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EnrolAnswer } from '@cryptvisor/host-agent-api'
import { createRequest, readCertificate } from '@cryptvisor/pki'
import { RestClient } from '@cryptvisor/rest'
import { type Bench, startBench } from '../testing/bench.ts'
import { dial, type Enrolled, enrolAgent } from '../testing/test-agent.ts'

const dayMs = 86_400_000

async function enrolled(bench: Bench, name = 'host-a'): Promise<Enrolled> {
  const client = await bench.logIn()
  if ((await client.clusters()).clusters.length === 0) await client.createCluster({ name: 'main' })
  const { token } = await client.createEnrolmentToken({ name, cluster: 'main' })
  return enrolAgent(token, 'https://127.0.0.1:9443')
}

async function renew(host: Enrolled): Promise<Enrolled> {
  const { csr, privateKey } = await createRequest(host.answer.name)
  await using client = new RestClient({
    url: host.hostsUrl,
    ca: host.answer.ca,
    identity: { certificate: host.answer.certificate, privateKey: host.privateKey },
  })
  const answer = await client.call<EnrolAnswer>({ method: 'POST', path: '/v1/renew', json: { csr } })
  return { ...host, answer, privateKey }
}

const serialOf = ({ answer }: Enrolled) => readCertificate(answer.certificate).serialNumber

async function dials(host: Enrolled): Promise<boolean> {
  try {
    const session = await dial(host)
    session.hangUp()
    await session.ended
    return true
  } catch {
    return false
  }
}

test('a renewed certificate is for the same host; the old one is good until the new one is used, and of several the last counts', async (context) => {
  const bench = await startBench(context)
  const old = await enrolled(bench)
  const lost = await renew(old)
  const renewed = await renew(old)
  assert.equal(renewed.answer.hostId, old.answer.hostId)
  assert.equal(await dials(old), true)
  assert.equal(await dials(lost), false, 'its answer was lost, and another one was asked for')
  assert.equal(await dials(renewed), true)
  assert.equal(await dials(old), false)
  assert.equal(await dials(renewed), true)
  await bench.withDatabase(async (database) => {
    const host = await database.selectFrom('host').selectAll().executeTakeFirstOrThrow()
    assert.equal(host.certificate_serial, serialOf(renewed))
    assert.equal(host.next_certificate_serial, null)
  })
  const client = await bench.logIn()
  const { events } = await client.events({ type: 'host.certificate-renewed' })
  assert.deepEqual(
    events.map(({ host }) => host),
    ['host-a'],
  )
})

test('nobody but a host renews, and only for itself', async (context) => {
  const bench = await startBench(context)
  const host = await enrolled(bench)
  const { csr } = await createRequest('host-b')
  await using stranger = new RestClient({ url: host.hostsUrl, ca: host.answer.ca })
  await assert.rejects(stranger.call({ method: 'POST', path: '/v1/renew', json: { csr } }), { status: 401 })
  const renewed = await renew(host)
  assert.deepEqual(readCertificate(renewed.answer.certificate).uris, readCertificate(host.answer.certificate).uris)
})

test('a host whose certificate is over cannot connect; enrolled again it is the same host', async (context) => {
  const bench = await startBench(context)
  bench.pass(-900 * dayMs)
  const expired = await enrolled(bench)
  bench.pass(900 * dayMs)
  assert.ok(readCertificate(expired.answer.certificate).notAfter.getTime() < Date.now())
  assert.equal(await dials(expired), false)
  const client = await bench.logIn()
  const [entry] = (await client.certificates()).certificates
  assert.deepEqual([entry?.what, entry?.state], ['host host-a', 'expired'])
  await assert.rejects(client.renewHostCertificate('host-a'), { message: /host enroll host-a.*--again/ })
  const again = await enrolled(bench)
  assert.equal(again.answer.hostId, expired.answer.hostId)
  assert.equal(await dials(again), true)
})

test('the inventory has every certificate with its end, and whether it renews itself', async (context) => {
  const bench = await startBench(context)
  await enrolled(bench)
  const client = await bench.logIn()
  const { certificates } = await client.certificates()
  assert.deepEqual(
    certificates.map(({ kind, renewsItself, state }) => [kind, renewsItself, state]),
    [
      ['control-plane', true, 'green'],
      ['control-plane', true, 'green'],
      ['host', true, 'green'],
      ['authority', false, 'green'],
    ],
  )
})
