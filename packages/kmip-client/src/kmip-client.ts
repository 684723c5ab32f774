import type { DeclaredOperation, RequestOf, ResponseOf } from '@cryptvisor/kmip'
import type { Version } from '@cryptvisor/ttlv'
import type { BatchOptions, BatchRequest, BatchResult } from './batch.ts'
import { KmipClientError } from './kmip-client-error.ts'
import { type KmipClientOptions, Session } from './session.ts'

/**
 * A KMIP server, as one client sees it. Requests go one after the other over one connection, which is made when it is
 * needed and made again when it was closed meanwhile. Every method throws a KmipClientError.
 */
export class KmipClient implements AsyncDisposable {
  readonly #session: Session

  /** Connects to nobody yet. Throws a KmipClientError `invalid-options` when certificates or key cannot be read. */
  constructor(options: KmipClientOptions) {
    this.#session = new Session(options)
  }

  /** The version that was agreed on; `null` before the first request. */
  get version(): Version | null {
    return this.#session.version
  }

  /** The certificate that the server showed last, PEM; `null` before the first connection. */
  get serverCertificate(): string | null {
    return this.#session.serverCertificate
  }

  /** Agrees on a version with the server, where that was not done yet, and says which. */
  negotiate(): Promise<Version> {
    return this.#session.negotiate()
  }

  /**
   * Asks for several operations in one message. A result that failed is a KmipClientError; only what concerns the
   * whole message is thrown. Results that have secrets are the caller's to wipe.
   */
  async request<const Items extends readonly BatchRequest[]>(
    items: Items,
    options: BatchOptions = {},
  ): Promise<{ -readonly [Index in keyof Items]: BatchResult<Items[Index]['operation']> }> {
    const results = await this.#session.request(items, options)
    // The session gives a result of its operation for each item, in their order.
    return results as { -readonly [Index in keyof Items]: BatchResult<Items[Index]['operation']> }
  }

  /** Asks for one operation, and throws when the server refuses it. */
  async perform<Name extends DeclaredOperation>(operation: Name, payload: RequestOf<Name>): Promise<ResponseOf<Name>> {
    // The payload is that of the operation, as the parameters say.
    const [result] = await this.request([{ operation, payload } as BatchRequest])
    if (result instanceof KmipClientError) throw result
    // The result is that of the operation, since `request` is strict about it.
    return result as ResponseOf<Name>
  }

  query(payload: RequestOf<'Query'>): Promise<ResponseOf<'Query'>> {
    return this.perform('Query', payload)
  }

  /** The versions that the server says it has. */
  discoverVersions(payload: RequestOf<'DiscoverVersions'>): Promise<ResponseOf<'DiscoverVersions'>> {
    return this.perform('DiscoverVersions', payload)
  }

  create(payload: RequestOf<'Create'>): Promise<ResponseOf<'Create'>> {
    return this.perform('Create', payload)
  }

  register(payload: RequestOf<'Register'>): Promise<ResponseOf<'Register'>> {
    return this.perform('Register', payload)
  }

  locate(payload: RequestOf<'Locate'>): Promise<ResponseOf<'Locate'>> {
    return this.perform('Locate', payload)
  }

  check(payload: RequestOf<'Check'>): Promise<ResponseOf<'Check'>> {
    return this.perform('Check', payload)
  }

  /** The object; its secrets are the caller's to wipe. */
  get(payload: RequestOf<'Get'>): Promise<ResponseOf<'Get'>> {
    return this.perform('Get', payload)
  }

  getAttributes(payload: RequestOf<'GetAttributes'>): Promise<ResponseOf<'GetAttributes'>> {
    return this.perform('GetAttributes', payload)
  }

  getAttributeList(payload: RequestOf<'GetAttributeList'>): Promise<ResponseOf<'GetAttributeList'>> {
    return this.perform('GetAttributeList', payload)
  }

  addAttribute(payload: RequestOf<'AddAttribute'>): Promise<ResponseOf<'AddAttribute'>> {
    return this.perform('AddAttribute', payload)
  }

  modifyAttribute(payload: RequestOf<'ModifyAttribute'>): Promise<ResponseOf<'ModifyAttribute'>> {
    return this.perform('ModifyAttribute', payload)
  }

  deleteAttribute(payload: RequestOf<'DeleteAttribute'>): Promise<ResponseOf<'DeleteAttribute'>> {
    return this.perform('DeleteAttribute', payload)
  }

  activate(payload: RequestOf<'Activate'>): Promise<ResponseOf<'Activate'>> {
    return this.perform('Activate', payload)
  }

  revoke(payload: RequestOf<'Revoke'>): Promise<ResponseOf<'Revoke'>> {
    return this.perform('Revoke', payload)
  }

  destroy(payload: RequestOf<'Destroy'>): Promise<ResponseOf<'Destroy'>> {
    return this.perform('Destroy', payload)
  }

  /** Ends the connection; requests that wait fail with `closed`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session[Symbol.asyncDispose]()
  }
}
