import { type KeyProvider, KeyProviderError } from '@cryptvisor/key-provider'
import type { Secret } from '@cryptvisor/secret'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { WorkContext } from '../context.ts'
import type { Finding } from './key-health.ts'
import type { UsedKey } from './used-keys.ts'

/**
 * Looks whether a KEK that is in use could be handed over after a restart: asks its provider for its state and for the key
 * itself, and has one host that holds it compare. Changes nothing, and never throws for what it finds.
 */
export async function lookAtKey(work: WorkContext, used: UsedKey): Promise<Finding> {
  const { key } = used
  try {
    const provider = await work.keyProviders.get(key.provider)
    const state = await stateOf(provider, key.keyId)
    if (state !== null) return await withdrawn(provider, key.keyId, state)
    using kek = await provider.getKey(key.keyId)
    return await compared(work, used, kek)
  } catch (error) {
    work.stopping.throwIfAborted()
    if (error instanceof KeyProviderError) return failed(error)
    if (error instanceof ControlPlaneError) return { state: 'refused', text: error.message }
    throw error
  }
}

type Withdrawn = Extract<Finding['state'], 'inactive' | 'revoked' | 'compromised' | 'destroyed' | 'missing'>

/** `null`: it is Active, or the provider does not say. */
async function stateOf(provider: KeyProvider, keyId: string): Promise<Withdrawn | null> {
  try {
    const description = await provider.describeKey(keyId)
    if (description === null) return 'missing'
    switch (description.state) {
      case null:
      case 'Active':
        return null
      case 'PreActive':
        return 'inactive'
      case 'Deactivated':
        return 'revoked'
      case 'Compromised':
        return 'compromised'
      case 'Destroyed':
      case 'DestroyedCompromised':
        return 'destroyed'
    }
  } catch (error) {
    // A provider that does not tell of attributes may give the key all the same.
    if (error instanceof KeyProviderError && (error.code === 'denied' || error.code === 'protocol')) return null
    throw error
  }
}

const withdrawnTexts: Readonly<Record<Withdrawn, string>> = {
  inactive: 'the key server has it as Pre-Active: activate it there',
  revoked: 'it was revoked (Deactivated) at the key server',
  compromised: 'it was revoked as compromised at the key server: rekey what it protects',
  destroyed:
    'it was destroyed at the key server: restore it there from a backup, or rekey what it protects while a host holds it («vm rekey», «host rekey»)',
  missing:
    'the key server does not have it: restore it there from a backup, or rekey what it protects while a host holds it («vm rekey», «host rekey»)',
}

/** What somebody did to it at the key server, and whether it can be had in spite of that. */
async function withdrawn(provider: KeyProvider, keyId: string, state: Withdrawn): Promise<Finding> {
  const text = withdrawnTexts[state]
  if (state === 'missing' || state === 'destroyed') return { state, text }
  try {
    using _kek = await provider.getKey(keyId)
    return { state, text: `${text}; it is given out still`, givenOut: true }
  } catch (error) {
    if (!(error instanceof KeyProviderError)) throw error
    if (error.code === 'unreachable' || error.code === 'not-trusted') return failed(error)
    return { state, text: `${text}; it is not given out any more` }
  }
}

/** A host that holds the key compares; it keeps nothing of what it is shown. */
async function compared(work: WorkContext, { key, hostIds }: UsedKey, kek: Secret): Promise<Finding> {
  for (const hostId of hostIds) {
    const connection = work.hostConnections.get(hostId)
    if (connection?.cryptoSupported !== true) continue
    try {
      const { result } = await connection.client.compareKey(key, kek)
      if (result === 'not-held') continue
      if (result === 'same') return { state: 'good', text: 'it can be had, and is the one that a host holds' }
      return {
        state: 'mismatch',
        text: 'the key server gives other bytes under this ID than a host holds: restore the right key there before a host restarts',
      }
    } catch (error) {
      work.stopping.throwIfAborted()
      work.log.warn({ err: error, host: hostId, ...key }, 'a host did not compare a key')
    }
  }
  return { state: 'good', text: 'it can be had; no host holds it now that could compare' }
}

function failed(error: KeyProviderError): Finding {
  switch (error.code) {
    case 'unreachable':
    case 'not-trusted':
      return { state: 'unreachable', text: error.message }
    case 'key-missing':
      return { state: 'missing', text: withdrawnTexts.missing }
    case 'key-unusable':
      return { state: 'unusable', text: error.message }
    case 'labels-refused':
    case 'denied':
    case 'not-backed-up':
    case 'protocol':
      return { state: 'refused', text: error.message }
  }
}
