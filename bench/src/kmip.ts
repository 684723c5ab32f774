import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { attribute, CryptographicUsageMask } from '@cryptvisor/kmip'
import { KmipClient } from '@cryptvisor/kmip-client'
import type { Lab } from '@cryptvisor/lab'
import { Secret } from '@cryptvisor/secret'
import { PykmipServer } from '@cryptvisor/testkit'
import { type Figures, rounded } from './figures.ts'

const requestCount = 300

const newKey = {
  objectType: 'SymmetricKey' as const,
  templateAttribute: {
    name: [],
    attribute: [
      attribute('Cryptographic Algorithm', 'AES'),
      attribute('Cryptographic Usage Mask', CryptographicUsageMask.Encrypt | CryptographicUsageMask.Decrypt),
      attribute('Cryptographic Length', 256),
    ],
  },
}

interface Rates {
  readonly create: number
  readonly get: number
}

/** Requests a second of one connection: our key server against PyKMIP's, the same client, one after the other. */
export async function benchKmip(lab: Lab): Promise<Figures> {
  const description = lab.describe()
  if (description === null) throw new Error('the lab is not up')
  const { host, port, ca, clientCert, clientKey } = description.keyServer
  const ours = await ratesOf(host, port, { ca, certificate: clientCert, key: clientKey })
  const folder = join(lab.places.folder, 'pykmip')
  await mkdir(folder)
  await using pykmip = await PykmipServer.start(folder)
  const theirs = await ratesOf('127.0.0.1', pykmip.port, pykmip.files)
  return {
    'create-1': rounded(ours.create),
    'create-1-of-pykmip': rounded(ours.create / theirs.create),
    'get-1': rounded(ours.get),
    'get-1-of-pykmip': rounded(ours.get / theirs.get),
  }
}

async function ratesOf(host: string, port: number, files: PykmipServer['files']): Promise<Rates> {
  using clientKey = Secret.from(readFileSync(files.key))
  await using client = new KmipClient({
    host,
    port,
    caPem: readFileSync(files.ca, 'utf8'),
    clientCertificatePem: readFileSync(files.certificate, 'utf8'),
    clientKey,
  })
  const created = await client.create(newKey)
  const create = await rateOf(() => client.create(newKey))
  const get = await rateOf(() => client.get({ uniqueIdentifier: created.uniqueIdentifier }))
  return { create, get }
}

async function rateOf(request: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  for (let index = 0; index < requestCount; index++) await request()
  return requestCount / ((performance.now() - start) / 1000)
}
