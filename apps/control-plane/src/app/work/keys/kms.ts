import type { EventType } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import { type KeyDescription, type KeyProvider, KeyProviderError } from '@cryptvisor/key-provider'
import { Secret } from '@cryptvisor/secret'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import { serverName, serversOf } from '../../provider-view.ts'
import { askOutside, isRehearsed } from '../../rehearsal.ts'
import type { WorkContext } from '../context.ts'
import { noteKey } from './key-audit.ts'
import type { Outages } from './outages.ts'
import { SharedFetches } from './shared-fetches.ts'

/** What a request to a key provider is for; goes into its events. Names, not IDs. */
export interface Purpose {
  readonly host: string | null
  readonly vm: string | null
  readonly user: string | null
  readonly task: string | null
  /** Given by whoever may meet the same failure again: one that is known to it makes no further event. */
  readonly outages?: Outages
}

/** What a key is labelled with: `x-` attributes and their values. */
export type KeyLabels = Readonly<Record<string, string>>

/**
 * The key providers, with every failure told: it makes its event (DESIGN.md, section 4) and becomes a
 * `ControlPlaneError` that says what to do next.
 */
export class Kms {
  readonly #work: WorkContext
  readonly #fetches = new SharedFetches()

  constructor(work: WorkContext) {
    this.#work = work
  }

  /** Has a new KEK made. Nothing is known of it but its ID; put that on record before anything else. */
  async create(provider: string, purpose: Purpose): Promise<KeyReference> {
    const keyId = await this.#call(provider, null, purpose, (kms) => kms.createKey())
    return { provider, keyId }
  }

  async activate(key: KeyReference, purpose: Purpose): Promise<void> {
    await this.#call(key.provider, key.keyId, purpose, (kms) => kms.activateKey(key.keyId))
  }

  /**
   * Gets a KEK, to hand it over; dispose of it right after. A dry run gets random bytes in its place when it can be had:
   * there it is for nothing else.
   */
  async fetch(key: KeyReference, purpose: Purpose): Promise<Secret> {
    if (!isRehearsed()) return this.#fetch(key, purpose)
    const sizeBytes = await askOutside(`key ${keyText(key)}`, async () => {
      using kek = await this.#fetch(key, purpose)
      return kek.sizeBytes
    })
    return Secret.random(sizeBytes)
  }

  async #fetch(key: KeyReference, purpose: Purpose): Promise<Secret> {
    const noted = (outcome: string) => noteKey(this.#work.audit, 'key.fetch', key, purpose, outcome)
    let kek: Secret
    try {
      kek = await this.#call(key.provider, key.keyId, purpose, (kms) =>
        this.#fetches.share(keyText(key), () => kms.getKey(key.keyId)),
      )
    } catch (error) {
      if (error instanceof ControlPlaneError) await noted(error.code)
      throw error
    }
    try {
      await noted('success')
    } catch (error) {
      kek[Symbol.dispose]()
      throw error
    }
    return kek
  }

  /**
   * Labels a KEK. A provider that does not take them, or cannot be reached just now, makes a warning event and no
   * failure: labels are for people.
   */
  async label(key: KeyReference, labels: KeyLabels, purpose: Purpose): Promise<void> {
    try {
      const provider = await this.#work.keyProviders.get(key.provider)
      await provider.labelKey(key.keyId, labels)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      this.#work.log.warn({ err: error, ...key }, 'labels were not set')
      await this.#record(
        'kms.crypto.labels-refused',
        key.provider,
        key.keyId,
        `Key provider ${key.provider} did not take the labels ${Object.keys(labels).join(', ')} of key ${key.keyId}: ${textOf(error)}. The key works without them`,
        purpose,
      )
    }
  }

  /**
   * Tells of a key that its provider was not asked for, since it did not answer just before (`cause`): the event that
   * asking would have made, without the wait.
   */
  async unreachable(key: KeyReference, cause: ControlPlaneError, purpose: Purpose): Promise<ControlPlaneError> {
    const message = `key provider ${key.provider} cannot be reached, so it could not give the key ${key.keyId}. ${adviceFor(key.provider).unreachable}`
    await this.#record('kms.crypto.connection-error', key.provider, key.keyId, message, purpose)
    return new ControlPlaneError('kms-unreachable', message, { cause })
  }

  /** What the provider tells of a key; `null` when it does not have it. */
  async describe(key: KeyReference, purpose: Purpose): Promise<KeyDescription | null> {
    return askOutside(`what key ${keyText(key)} is`, () =>
      this.#call(key.provider, key.keyId, purpose, (kms) => kms.describeKey(key.keyId)),
    )
  }

  /** What the provider tells of the keys that our identity may see. */
  async list(
    provider: string,
    range: { readonly offset: number; readonly limit: number },
    purpose: Purpose,
  ): Promise<KeyDescription[]> {
    return askOutside(`keys ${range.offset} of ${provider}`, () =>
      this.#call(provider, null, purpose, (kms) => kms.listKeys(range)),
    )
  }

  async #call<Result>(
    provider: string,
    keyId: string | null,
    purpose: Purpose,
    act: (kms: KeyProvider) => Promise<Result>,
  ): Promise<Result> {
    try {
      const result = await act(await this.#work.keyProviders.get(provider))
      purpose.outages?.ended(provider, keyId ?? '')
      return result
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      throw await this.#told(error, provider, keyId, purpose)
    }
  }

  /** Records the event of a failure and gives the error for the user. */
  async #told(error: unknown, provider: string, keyId: string | null, purpose: Purpose): Promise<ControlPlaneError> {
    if (!(error instanceof KeyProviderError)) {
      if (error instanceof ControlPlaneError) return error
      throw error
    }
    const { type, code, advice } = consequenceOf(error, provider)
    const message = `${error.message}${await this.#servers(provider, error)}. ${advice}`
    await this.#record(type, provider, keyId, message, purpose)
    return new ControlPlaneError(code, message, { cause: error })
  }

  async #record(
    type: EventType,
    provider: string,
    keyId: string | null,
    text: string,
    purpose: Purpose,
  ): Promise<void> {
    const { host, vm, user, task, outages } = purpose
    // Labels are refused twice, product's and owner's; that the key itself works is no news about them.
    const what = type === 'kms.crypto.labels-refused' ? ['labels', provider] : [provider]
    if (type === 'kms.crypto.connection-error') this.#work.keyProviders.troubled?.(provider)
    if (outages?.begins(...what, keyId ?? '', type) === false) return
    await this.#work.events.record({ type, host, vm, provider, keyId, text, user, task })
  }

  /** The servers that were tried in vain, where the error names one of several only. */
  async #servers(provider: string, error: KeyProviderError): Promise<string> {
    if (error.code !== 'unreachable') return ''
    const row = await this.#work.database
      .selectFrom('key_provider')
      .select('servers')
      .where('name', '=', provider)
      .executeTakeFirst()
    const servers = row === undefined ? [] : serversOf(row)
    return servers.length < 2 ? '' : ` (tried ${servers.map(serverName).join(', ')})`
  }
}

interface Consequence {
  readonly type: EventType
  readonly code: 'kms-unreachable' | 'key-missing' | 'kms-refused'
  readonly advice: string
}

/** What to do next. */
const adviceFor = (provider: string) =>
  ({
    unreachable: `Start a key server of the provider or mend the network, see «key-provider status ${provider}», and try again`,
    'not-trusted': `See which side’s certificate it is with «key-provider status ${provider}», mend that, and try again`,
    'key-missing': 'Restore the key in the key server, and try again',
    'not-backed-up': `Take the backup («key-provider backup ${provider} --out FILE»), and try again`,
    refused: `See what the key server says («key-provider status ${provider}», «keys show»), and try again`,
  }) as const

/** DESIGN.md, section 4: the three failures, and what else a key server may answer. */
function consequenceOf(error: KeyProviderError, provider: string): Consequence {
  const advice = adviceFor(provider)
  switch (error.code) {
    case 'unreachable':
    case 'not-trusted':
      return { type: 'kms.crypto.connection-error', code: 'kms-unreachable', advice: advice[error.code] }
    case 'key-missing':
      return { type: 'kms.crypto.key-missing', code: 'key-missing', advice: advice[error.code] }
    case 'not-backed-up':
      return { type: 'kms.crypto.error', code: 'kms-refused', advice: advice[error.code] }
    case 'key-unusable':
    case 'labels-refused':
    case 'denied':
    case 'protocol':
      return { type: 'kms.crypto.error', code: 'kms-refused', advice: advice.refused }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : 'unknown error'
}
