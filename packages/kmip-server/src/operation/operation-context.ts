import { KmipError } from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'
import type { Version } from '@cryptvisor/ttlv'
import type { Client } from '../client.ts'
import { advance } from '../object/lifecycle.ts'
import type { ObjectTransaction } from '../object/object-store.ts'
import type { StoredObject } from '../object/stored-object.ts'

/** What the server is and where its surroundings come from. */
export interface ServerSettings {
  /** Answered to Query as Vendor Identification; what an administrator sees of us in vCenter. */
  readonly vendorIdentification: string
  /** The versions that are spoken, the favourite first. */
  readonly versions: readonly Version[]
  /** The time. */
  readonly now: () => Date
  /** Makes key material. */
  readonly random: (sizeBytes: number) => Secret
  /** Makes Unique Identifiers that rise with time. */
  readonly newId: () => string
}

/** What belongs to one message and goes from one of its batch items to the next. */
export interface MessageContext {
  readonly client: Client
  readonly version: Version
  readonly settings: ServerSettings
  /** The time of the message, in whole seconds as KMIP has them. */
  readonly now: Date
  /** KMIP 1.4, section 4: the ID Placeholder; `null` while it is empty. */
  placeholder: string | null
}

/** What an operation has at hand while it runs. */
export class OperationContext {
  readonly message: MessageContext
  readonly transaction: ObjectTransaction
  /** The object that the operation is about, for the audit. */
  objectId: string | null = null

  constructor(message: MessageContext, transaction: ObjectTransaction) {
    this.message = message
    this.transaction = transaction
  }

  get version(): Version {
    return this.message.version
  }

  get now(): Date {
    return this.message.now
  }

  /** The owner of what this client makes. */
  get owner(): string {
    return this.message.client.name
  }

  /**
   * The client's object of that id, or of the ID Placeholder, as its dates make it by now. Throws Item Not Found, in the
   * same words for an object of somebody else.
   */
  async find(id: string | undefined): Promise<StoredObject> {
    const wanted = id ?? this.message.placeholder
    if (wanted === null) {
      throw new KmipError('ItemNotFound', 'Unique Identifier: is missing, and no item before has left one to use')
    }
    const object = wanted.length <= idLengthMax ? await this.transaction.load(this.owner, wanted) : null
    if (object === null) throw new KmipError('ItemNotFound', 'Unique Identifier: there is no such object')
    this.objectId = object.id
    return advance(object, this.now)
  }
}

/** Ids that we make are shorter. */
const idLengthMax = 100

/** Carries out one operation. Throws a KmipError for what the client is to be told; then nothing was done. */
export type Handler<Request, Response> = (request: Request, context: OperationContext) => Promise<Response>

/** A failure whose answer has a payload, as that of Check has. */
export class FailureWithPayload extends KmipError {
  readonly payload: unknown

  constructor(error: KmipError, payload: unknown) {
    super(error.code, error.message, { cause: error })
    this.payload = payload
  }
}
