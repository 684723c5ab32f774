import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCertificate } from '@cryptvisor/pki'
import { RestClient } from '@cryptvisor/rest'
import { isDue } from './own-certificates.ts'
import { startBench } from './testing/bench.ts'
import { dial, enrolAgent } from './testing/test-agent.ts'

const dayMs = 86_400_000

test('certificates are due at two thirds of their life', () => {
  assert.ok(!isDue(1000, 90, 1000 + 60 * dayMs - 1))
  assert.ok(isDue(1000, 90, 1000 + 60 * dayMs))
})

test('renewed certificates are shown on both sides while the control plane runs', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  /** The serial number that a server shows to somebody who connects now. */
  const shownAt = async (url: string) => {
    let serialNumber = ''
    await using client = new RestClient({
      url,
      ca: bench.ca,
      checkServer: (certificate) => {
        ;({ serialNumber } = readCertificate(certificate.raw))
        return undefined
      },
    })
    await client.call({ method: 'GET', path: '/openapi.json' })
    return serialNumber
  }
  const { url, hostsUrl } = bench.service
  await admin.createCluster({ name: 'cluster' })
  const { token } = await admin.createEnrolmentToken({ name: 'host-a', cluster: 'cluster' })
  const enrolled = await enrolAgent(token, 'https://127.0.0.1:7443')
  const session = await dial(enrolled)
  const before = [await shownAt(url), await shownAt(hostsUrl)]
  assert.deepEqual([await shownAt(url), await shownAt(hostsUrl)], before)
  await bench.service.renewCertificates()
  const after = [await shownAt(url), await shownAt(hostsUrl)]
  assert.equal(new Set([...before, ...after]).size, 4)
  await session.ended
  const again = await dial(enrolled)
  assert.equal((await admin.host('host-a')).connection, 'connected')
  again.hangUp()
  await again.ended
})
