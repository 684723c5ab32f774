import { attribute, attributeValue, CryptographicUsageMask, type State } from '@cryptvisor/kmip'
import { type ClientLimits, type KmipClient, KmipClientError } from '@cryptvisor/kmip-client'
import type { Secret } from '@cryptvisor/secret'
import { wipe } from '@cryptvisor/ttlv'
import {
  defaultFailoverLimits,
  type Environment,
  Failover,
  type FailoverLimits,
  ServerFailure,
  systemEnvironment,
} from './failover.ts'
import { describeKey } from './key-description.ts'
import { keyMaterialOf } from './key-material.ts'
import type { KeyDescription, KeyProvider, RevocationCause } from './key-provider.ts'
import { KeyProviderError } from './key-provider-error.ts'
import { createClient, type KmipServer } from './kmip-server.ts'
import { checkLabels, setLabels } from './labels.ts'
import { listSymmetricKeys } from './listing.ts'
import { type ProbeWatch, probeProvider, unwatched } from './probe.ts'
import type { ProviderStatus } from './provider-status.ts'
import { isMissing, type RefusalCode, translate } from './translation.ts'

export interface StandardKeyProviderOptions {
  /** Part of every key's name: it never changes. */
  readonly id: string
  /** In the order in which they are tried. All keep the same keys. */
  readonly servers: readonly KmipServer[]
  readonly clientLimits?: Partial<ClientLimits>
  readonly failoverLimits?: Partial<FailoverLimits>
  readonly environment?: Environment
}

/** Shorter than the client's own: there may be another server to ask. */
const connectTimeoutMs = 5000
const requestTimeoutMs = 15_000

const revocationReasonCodes = {
  'cessation-of-operation': 'CessationOfOperation',
  'key-compromise': 'KeyCompromise',
  unspecified: 'Unspecified',
} as const

/** A key provider whose keys lie on KMIP servers of any make. */
export class StandardKeyProvider implements KeyProvider {
  readonly id: string
  readonly #servers: readonly KmipServer[]
  readonly #clientLimits: Partial<ClientLimits>
  readonly #environment: Environment
  readonly #failover: Failover

  /** Connects to nobody yet. Throws a KeyProviderError `not-trusted` when certificates or keys cannot be read. */
  constructor(options: StandardKeyProviderOptions) {
    if (options.servers.length === 0) throw new RangeError('a key provider has at least one server')
    this.id = options.id
    this.#servers = options.servers
    this.#clientLimits = { connectTimeoutMs, requestTimeoutMs, ...options.clientLimits }
    this.#environment = options.environment ?? systemEnvironment
    this.#failover = new Failover(
      options.servers.map((server) => ({
        name: server.name,
        client: createClient(options.id, server, this.#clientLimits),
      })),
      { ...defaultFailoverLimits, ...options.failoverLimits },
      this.#environment,
    )
  }

  async createKey(): Promise<string> {
    const { uniqueIdentifier } = await this.#ask('make a key', null, 'denied', (client) =>
      client.create({
        objectType: 'SymmetricKey',
        templateAttribute: {
          name: [],
          // In the order in which vCenter has them.
          attribute: [
            attribute('Cryptographic Algorithm', 'AES'),
            attribute('Cryptographic Usage Mask', CryptographicUsageMask.Encrypt | CryptographicUsageMask.Decrypt),
            attribute('Cryptographic Length', 256),
          ],
        },
      }),
    )
    if (isKeyId(uniqueIdentifier)) return uniqueIdentifier
    throw new KeyProviderError(
      'protocol',
      { providerId: this.id },
      `key provider ${this.id} calls its new key something that cannot be kept: 1 to ${keyIdLengthMax} characters, none of them a control character`,
    )
  }

  async labelKey(keyId: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const checked = checkLabels(labels)
    if (checked.size === 0) return
    await this.#ask('label the key', keyId, 'labels-refused', (client) => setLabels(client, keyId, checked))
  }

  async activateKey(keyId: string): Promise<void> {
    await this.#ask('activate the key', keyId, 'key-unusable', (client) =>
      unlessIn(client, keyId, ['Active'], () => client.activate({ uniqueIdentifier: keyId })),
    )
  }

  async getKey(keyId: string): Promise<Secret> {
    const answer = await this.#ask('give the key', keyId, 'key-unusable', (client) =>
      client.get({ uniqueIdentifier: keyId }),
    )
    const subject = { providerId: this.id, keyId }
    if (answer.uniqueIdentifier !== keyId) {
      wipe(answer)
      throw new KeyProviderError('protocol', subject, `key provider ${this.id} gave another key than ${keyId}`)
    }
    const material = keyMaterialOf(answer)
    if (typeof material !== 'string') return material
    wipe(answer)
    throw new KeyProviderError('key-unusable', subject, `key ${keyId} of key provider ${this.id} ${material}`)
  }

  async revokeKey(keyId: string, cause: RevocationCause, message?: string): Promise<void> {
    const done: readonly State[] =
      cause === 'key-compromise'
        ? ['Compromised', 'DestroyedCompromised']
        : ['PreActive', 'Deactivated', 'Compromised', 'Destroyed', 'DestroyedCompromised']
    await this.#ask('revoke the key', keyId, 'key-unusable', (client) =>
      unlessIn(client, keyId, done, () =>
        client.revoke({
          uniqueIdentifier: keyId,
          revocationReason: {
            revocationReasonCode: revocationReasonCodes[cause],
            ...(message === undefined ? {} : { revocationMessage: message }),
          },
        }),
      ),
    )
  }

  async destroyKey(keyId: string): Promise<void> {
    try {
      await this.#ask('destroy the key', keyId, 'denied', (client) =>
        unlessIn(client, keyId, ['Destroyed', 'DestroyedCompromised'], () =>
          client.destroy({ uniqueIdentifier: keyId }),
        ),
      )
    } catch (error) {
      if (!(error instanceof KeyProviderError && error.code === 'key-missing')) throw error
    }
  }

  async describeKey(keyId: string): Promise<KeyDescription | null> {
    try {
      const answer = await this.#ask('describe the key', keyId, 'denied', (client) =>
        client.getAttributes({ uniqueIdentifier: keyId, attributeName: [] }),
      )
      return describeKey(keyId, answer.attribute)
    } catch (error) {
      if (error instanceof KeyProviderError && error.code === 'key-missing') return null
      throw error
    }
  }

  async listKeys({ offset = 0, limit }: { offset?: number; limit: number }): Promise<KeyDescription[]> {
    return this.#ask('list keys', null, 'denied', (client) => listSymmetricKeys(client, offset, limit))
  }

  async probe(watch: ProbeWatch = unwatched): Promise<ProviderStatus> {
    return probeProvider(this, this.#servers, this.#clientLimits, this.#environment, watch)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#failover[Symbol.asyncDispose]()
  }

  async #ask<Result>(
    what: string,
    keyId: string | null,
    otherRefusals: RefusalCode,
    use: (client: KmipClient) => Promise<Result>,
  ): Promise<Result> {
    try {
      return await this.#failover.run(use)
    } catch (error) {
      if (!(error instanceof ServerFailure)) throw error
      const subject = { providerId: this.id, ...(keyId === null ? {} : { keyId }) }
      throw translate(error, subject, what, otherRefusals)
    }
  }
}

/** How long a key's ID may be. */
const keyIdLengthMax = 255

/** Whether an ID can be stored, shown and sent back. */
function isKeyId(id: string): boolean {
  return id.length >= 1 && id.length <= keyIdLengthMax && !/\p{Cc}/u.test(id)
}

/** Does something to a key; a refusal is fine when the key is in one of these states already. */
async function unlessIn(
  client: KmipClient,
  keyId: string,
  states: readonly State[],
  act: () => Promise<unknown>,
): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (!(error instanceof KmipClientError) || error.code !== 'operation-failed' || isMissing(error)) throw error
    const state = await stateOf(client, keyId).catch(() => null)
    // A server that does not tell of attributes leaves the first refusal to be told.
    if (state === null || !states.includes(state)) throw error
  }
}

/** `null` when the server does not say. */
async function stateOf(client: KmipClient, keyId: string): Promise<State | null> {
  const { attribute: attributes } = await client.getAttributes({ uniqueIdentifier: keyId, attributeName: ['State'] })
  return attributeValue(attributes, 'State') ?? null
}
