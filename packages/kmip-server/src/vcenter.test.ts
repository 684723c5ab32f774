import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attribute, customAttribute, type RequestMessage, type ResponseMessage, v1_1 } from '@cryptvisor/kmip'
import type { Identity } from '@cryptvisor/pki'
import { TlsClient } from './testing/tls-client.ts'
import { startTlsServer, type TlsServer } from './testing/tls-server.ts'

type Item = RequestMessage['batchItem'][number]

/** vCenter 7.0.3 as its wire logs show it: a connection for every task, KMIP 1.1, DiscoverVersions first. */
class VCenter {
  readonly #server: TlsServer
  readonly #identity: Identity
  #counter = 0

  constructor(server: TlsServer, identity: Identity) {
    this.#server = server
    this.#identity = identity
  }

  /** A connection on which nothing is said. */
  async bareConnection(): Promise<void> {
    const client = await TlsClient.connect(this.#server, this.#identity, { maxVersion: 'TLSv1.2' })
    assert.match(client.socket.getPeerX509Certificate()?.subject ?? '', /key server/)
    client.socket.end()
    await client.closed()
  }

  /** Runs the tasks of one connection. */
  async connection(...tasks: ((send: (items: readonly Item[]) => Promise<ResponseMessage>) => Promise<void>)[]) {
    const client = await TlsClient.connect(this.#server, this.#identity, { maxVersion: 'TLSv1.2' })
    assert.equal(client.socket.getProtocol(), 'TLSv1.2')
    const discovered = await client.send(
      message([{ operation: 'DiscoverVersions', requestPayload: { protocolVersion: [] } }]),
    )
    assert.deepEqual(discovered.responseHeader.protocolVersion, v1_1)
    const [first] = discovered.batchItem
    assert.equal(first?.uniqueBatchItemId, undefined)
    assert.equal(first?.resultStatus, 'Success')
    for (const task of tasks) await task((items) => this.#send(client, items))
    client.socket.end()
    await client.closed()
  }

  async #send(client: TlsClient, items: readonly Item[]): Promise<ResponseMessage> {
    const ids = items.map(() => this.#nextBatchItemId())
    const answer = await client.send(
      message(items.map((item, index) => ({ ...item, uniqueBatchItemId: ids[index] }) as Item)),
    )
    assert.deepEqual(answer.responseHeader.protocolVersion, v1_1)
    assert.deepEqual(
      answer.batchItem.map((item) => item.uniqueBatchItemId),
      ids,
    )
    for (const item of answer.batchItem) assert.equal(item.resultStatus, 'Success', item.resultMessage)
    return answer
  }

  /** `QLKC` and a little-endian counter from 1. */
  #nextBatchItemId(): Uint8Array {
    const id = Buffer.from('QLKC\0\0\0\0', 'latin1')
    id.writeUInt32LE(++this.#counter, 4)
    return Uint8Array.from(id)
  }
}

function message(batchItem: readonly Item[]): RequestMessage {
  return { requestHeader: { protocolVersion: v1_1, attestationType: [], batchCount: batchItem.length }, batchItem }
}

function payloadOf(answer: ResponseMessage, index = 0): unknown {
  return answer.batchItem[index]?.responsePayload
}

const getAttributes = (uniqueIdentifier: string, name: string): Item => ({
  operation: 'GetAttributes',
  requestPayload: { uniqueIdentifier, attributeName: [name] },
})

const addAttribute = (uniqueIdentifier: string, name: `x-${string}`, value: string): Item => ({
  operation: 'AddAttribute',
  requestPayload: { uniqueIdentifier, attribute: customAttribute(name, value) },
})

async function label(
  vcenter: VCenter,
  id: string,
  labels: readonly (readonly [name: `x-${string}`, value: string])[],
): Promise<void> {
  await vcenter.connection(
    ...labels.map(([name]) => async (send: (items: readonly Item[]) => Promise<ResponseMessage>) => {
      // An attribute that is not there is left out, and that is a success.
      assert.deepEqual(payloadOf(await send([getAttributes(id, name)])), { uniqueIdentifier: id, attribute: [] })
    }),
    async (send) => {
      const answer = await send(labels.map(([name, value]) => addAttribute(id, name, value)))
      for (const [index, [name, value]] of labels.entries()) {
        assert.deepEqual(payloadOf(answer, index), { uniqueIdentifier: id, attribute: customAttribute(name, value) })
      }
    },
  )
}

test('vCenter encrypts its first VM', async (context) => {
  const server = await startTlsServer(context)
  using identity = await server.client('vcenter')
  const vcenter = new VCenter(server, identity)

  await vcenter.bareConnection()
  await vcenter.connection(async (send) => {
    const answer = await send([{ operation: 'Query', requestPayload: { queryFunction: ['QueryServerInformation'] } }])
    assert.deepEqual(payloadOf(answer), {
      operation: [],
      objectType: [],
      vendorIdentification: 'Cryptvisor test',
      applicationNamespace: [],
      extensionInformation: [],
      attestationType: [],
      rngParameters: [],
      profileInformation: [],
      validationInformation: [],
      capabilityInformation: [],
      clientRegistrationMethod: [],
    })
  })

  // The key of the VM and that of the host, at once on two connections.
  const ids: string[] = []
  const create = () =>
    vcenter.connection(async (send) => {
      const answer = await send([
        {
          operation: 'Create',
          requestPayload: {
            objectType: 'SymmetricKey',
            templateAttribute: {
              name: [],
              attribute: [
                attribute('Cryptographic Algorithm', 'AES'),
                attribute('Cryptographic Usage Mask', 12),
                attribute('Cryptographic Length', 256),
              ],
            },
          },
        },
      ])
      const payload = payloadOf(answer) as { objectType: string; uniqueIdentifier: string }
      assert.deepEqual(Object.keys(payload), ['objectType', 'uniqueIdentifier'])
      ids.push(payload.uniqueIdentifier)
    })
  await Promise.all([create(), create()])
  const [vmKey, hostKey] = ids
  assert.ok(vmKey !== undefined && hostKey !== undefined && vmKey !== hostKey)

  for (const [id, component] of [
    [vmKey, 'Virtual Machine'],
    [hostKey, 'ESXi Server'],
  ] as const) {
    await label(vcenter, id, [
      ['x-Product_Version', '7.0.3 build-19480866'],
      ['x-Vendor', 'VMware, Inc.'],
      ['x-Product', 'VMware vSphere'],
    ])
    await vcenter.connection(async (send) => {
      const answer = await send([{ operation: 'Get', requestPayload: { uniqueIdentifier: id } }])
      const payload = payloadOf(answer) as { object: { keyBlock: Record<string, unknown> } }
      const { keyValue, ...block } = payload.object.keyBlock
      assert.deepEqual(block, { keyFormatType: 'Raw', cryptographicAlgorithm: 'AES', cryptographicLength: 256 })
      const { keyMaterial, attribute: attributes } = keyValue as {
        keyMaterial: { sizeBytes: number }
        attribute: unknown
      }
      assert.equal(keyMaterial.sizeBytes, 32)
      assert.deepEqual(attributes, [])
    })
    await vcenter.connection(
      async (send) => {
        const answer = await send([getAttributes(id, 'State')])
        assert.deepEqual(payloadOf(answer), { uniqueIdentifier: id, attribute: [attribute('State', 'PreActive')] })
      },
      async (send) => {
        const answer = await send([{ operation: 'Activate', requestPayload: { uniqueIdentifier: id } }])
        assert.deepEqual(payloadOf(answer), { uniqueIdentifier: id })
      },
    )
    // The owner is noted when the key is Active already.
    await label(vcenter, id, [
      ['x-Identifier', '4210d6b3-2c50-9d22-8b9a-6a0a1c1c0001'],
      ['x-Component', component],
      ['x-Name', 'vm-1'],
    ])
    await vcenter.connection(async (send) => {
      const answer = await send([getAttributes(id, 'State')])
      assert.deepEqual(payloadOf(answer), { uniqueIdentifier: id, attribute: [attribute('State', 'Active')] })
    })
  }
  await vcenter.bareConnection()

  const operations = server.store.audit.map((record) => record.operation)
  assert.equal(operations.filter((name) => name === 'AddAttribute').length, 12)
  assert.ok(server.store.audit.every((record) => record.client === 'vcenter' && record.resultStatus === 'Success'))
})
