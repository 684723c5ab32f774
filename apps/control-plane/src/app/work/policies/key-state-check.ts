import type { KeyReference } from '@cryptvisor/host-agent-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Kms, Purpose } from '../keys/kms.ts'
import type { FoundKeyState, KeyRevocations } from './key-revocations.ts'

/** Every state that is known; a provider may say something else, or nothing. */
const states: ReadonlySet<string> = new Set<FoundKeyState>([
  ...(['PreActive', 'Active', 'Deactivated'] as const),
  ...(['Compromised', 'Destroyed', 'DestroyedCompromised', 'missing'] as const),
])

const isState = (text: string): text is FoundKeyState => states.has(text)

/** Asks providers for the states of keys, and lets the revocations know. */
export class KeyStateCheck {
  readonly #kms: Kms
  readonly #revocations: KeyRevocations

  constructor(kms: Kms, revocations: KeyRevocations) {
    this.#kms = kms
    this.#revocations = revocations
  }

  /** What the provider says of a key; `null`: it tells no states. Throws `kms-unreachable`, `kms-refused`. */
  async stateOf(key: KeyReference, purpose: Purpose): Promise<FoundKeyState | null> {
    const description = await this.#kms.describe(key, purpose)
    const state = description === null ? 'missing' : description.state
    if (state === null || !isState(state)) return null
    await this.#revocations.found(key, state)
    return state
  }

  /**
   * Makes sure, before something new is encrypted under a key, that it may be: that its provider has it, and it is active.
   * Throws `key-missing`, `kms-refused`, `kms-unreachable`.
   */
  async requireActive(key: KeyReference, purpose: Purpose): Promise<void> {
    const state = await this.stateOf(key, purpose)
    if (state === null || state === 'Active') return
    const named = `key ${key.keyId} of provider ${key.provider}`
    if (state === 'missing') {
      throw new ControlPlaneError(
        'key-missing',
        `${named} is not in its key server any more, so nothing new is encrypted under it. Restore the key in the key server, or give the VM another one («vm rekey») first`,
      )
    }
    throw new ControlPlaneError(
      'kms-refused',
      `${named} is ${state}, so nothing new is encrypted under it. Give the VM another key («vm rekey») first`,
    )
  }
}
