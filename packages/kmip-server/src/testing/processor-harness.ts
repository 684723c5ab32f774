import assert from 'node:assert/strict'
import {
  type Attribute,
  attribute,
  type DeclaredOperation,
  decodeResponse,
  encodeRequest,
  type RequestMessage,
  type RequestOf,
  type ResponseBatchItem,
  type ResponseMessage,
  type ResponseOf,
  v1_1,
  v1_4,
  versions,
} from '@cryptvisor/kmip'
import { Secret } from '@cryptvisor/secret'
import type { Version } from '@cryptvisor/ttlv'
import { type Client, MessageProcessor, type ServerEvent, type ServerSettings } from '../index.ts'
import { MemoryObjectStore } from './memory-object-store.ts'

export const me: Client = { name: 'me', certificateFingerprint: '11'.repeat(32), address: '127.0.0.1' }
export const other: Client = { name: 'other', certificateFingerprint: '22'.repeat(32), address: '127.0.0.1' }

type Header = Partial<RequestMessage['requestHeader']>
type Item = RequestMessage['batchItem'][number]

/** A processor over a store in memory, with a clock that tests move. */
export class Harness {
  readonly store = new MemoryObjectStore()
  readonly events: ServerEvent[] = []
  /** The secrets that the server made. */
  readonly made: Secret[] = []
  now = new Date('2026-06-01T12:00:00.250Z')
  #lastId = 0

  readonly settings: ServerSettings = {
    vendorIdentification: 'Test',
    versions,
    now: () => this.now,
    random: (sizeBytes) => {
      const secret = Secret.random(sizeBytes)
      this.made.push(secret)
      return secret
    },
    newId: () => `id-${String(++this.#lastId).padStart(6, '0')}`,
  }

  readonly processor = new MessageProcessor(this.store, this.settings, (event) => this.events.push(event))

  /** Sends the items as one message. */
  async send(items: readonly Item[], header: Header = {}, client: Client = me): Promise<ResponseMessage> {
    const batchItem = items.map((item, index) => ({
      ...item,
      ...(items.length > 1 ? { uniqueBatchItemId: Uint8Array.of(index + 1) } : {}),
    })) as Item[]
    const bytes = encodeRequest({
      requestHeader: { protocolVersion: v1_4, attestationType: [], batchCount: items.length, ...header },
      batchItem,
    })
    return decodeResponse((await this.processor.answer(bytes, client)).bytes)
  }

  /** Sends one operation, and gives its answer as it came. */
  async item<Name extends DeclaredOperation>(
    operation: Name,
    requestPayload: RequestOf<Name>,
    version: Version = v1_4,
    client: Client = me,
  ): Promise<ResponseBatchItem> {
    const answer = await this.send([itemOf(operation, requestPayload)], { protocolVersion: version }, client)
    assert.deepEqual(answer.responseHeader.protocolVersion, version)
    const [item] = answer.batchItem
    assert.ok(item !== undefined && answer.batchItem.length === 1)
    return item
  }

  /** Sends one operation, which must succeed. */
  async ok<Name extends DeclaredOperation>(
    operation: Name,
    requestPayload: RequestOf<Name>,
    version: Version = v1_4,
    client: Client = me,
  ): Promise<ResponseOf<Name>> {
    const item = await this.item(operation, requestPayload, version, client)
    assert.equal(item.resultStatus, 'Success', `${operation}: ${item.resultReason} ${item.resultMessage}`)
    assert.equal(item.operation, operation)
    return item.responsePayload as ResponseOf<Name>
  }

  /** Sends one operation, which must fail for this reason. */
  async fails<Name extends DeclaredOperation>(
    operation: Name,
    requestPayload: RequestOf<Name>,
    reason: ResponseBatchItem['resultReason'],
    version: Version = v1_1,
    client: Client = me,
  ): Promise<string> {
    const item = await this.item(operation, requestPayload, version, client)
    assert.deepEqual([item.resultStatus, item.resultReason], ['OperationFailed', reason], item.resultMessage)
    return item.resultMessage ?? ''
  }

  /** Creates an AES-256 key and gives its id. */
  async create(attributes: readonly Attribute[] = [], client: Client = me): Promise<string> {
    const { uniqueIdentifier } = await this.ok('Create', createRequest(attributes), v1_4, client)
    return uniqueIdentifier
  }

  /** The attributes of an object with that name. */
  async attributes(id: string, name: string, version: Version = v1_4): Promise<readonly Attribute[]> {
    return (await this.ok('GetAttributes', { uniqueIdentifier: id, attributeName: [name] }, version)).attribute
  }

  async state(id: string): Promise<unknown> {
    return (await this.attributes(id, 'State'))[0]?.attributeValue
  }

  async locate(...attributes: Attribute[]): Promise<readonly string[]> {
    return (await this.ok('Locate', { attribute: attributes })).uniqueIdentifier
  }
}

export function itemOf<Name extends DeclaredOperation>(operation: Name, requestPayload: RequestOf<Name>): Item {
  return { operation, requestPayload } as Item
}

export function createRequest(attributes: readonly Attribute[] = []): RequestOf<'Create'> {
  return {
    objectType: 'SymmetricKey',
    templateAttribute: {
      name: [],
      attribute: [
        attribute('Cryptographic Algorithm', 'AES'),
        attribute('Cryptographic Usage Mask', 12),
        attribute('Cryptographic Length', 256),
        ...attributes,
      ],
    },
  }
}
