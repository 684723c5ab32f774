import { KmipError, type RevocationReason, type State } from '@cryptvisor/kmip'
import { isDestroyed, type StoredObject, singleValue, stateOf, withValue } from './stored-object.ts'

/** What moves an object from one state to another. */
export type LifecycleEvent = 'activate' | 'deactivate' | 'compromise' | 'destroy'

/** KMIP 1.4, 3.22: the states, and which event leads from each to which. What is not here is refused. */
const transitions: Readonly<Record<State, Readonly<Partial<Record<LifecycleEvent, State>>>>> = {
  PreActive: { activate: 'Active', compromise: 'Compromised', destroy: 'Destroyed' },
  Active: { deactivate: 'Deactivated', compromise: 'Compromised' },
  Deactivated: { compromise: 'Compromised', destroy: 'Destroyed' },
  Compromised: { destroy: 'DestroyedCompromised' },
  Destroyed: { compromise: 'DestroyedCompromised' },
  DestroyedCompromised: {},
}

/** The state that `event` leads to; `null` when it is not allowed in `state`. */
export function nextState(state: State, event: LifecycleEvent): State | null {
  return transitions[state][event] ?? null
}

/**
 * The object as its dates make it by now: Pre-Active becomes Active at its Activation Date, Active becomes Deactivated
 * at its Deactivation Date (KMIP 1.4, 3.24 and 3.27). The same object when no date was reached.
 */
export function advance(object: StoredObject, now: Date): StoredObject {
  let current = object
  const steps = [
    ['activate', singleValue(object, 'Activation Date')],
    ['deactivate', singleValue(object, 'Deactivation Date')],
  ] as const
  for (const [event, date] of steps) {
    const state = stateOf(current)
    if (state === null || date === undefined || date > now) continue
    const next = event === 'activate' && state !== 'PreActive' ? null : nextState(state, event)
    if (next !== null) current = withValue(withValue(current, 'State', next), 'Last Change Date', latest(current, date))
  }
  return current
}

/** KMIP 1.4, 4.19. Throws Permission Denied outside of Pre-Active, Illegal Operation for what has no state. */
export function activate(object: StoredObject, now: Date): StoredObject {
  const next = move(object, 'activate')
  return touch(withValue(withValue(object, 'State', next), 'Activation Date', now), now)
}

/**
 * KMIP 1.4, 4.20: to Compromised for a reason that says so, else to Deactivated. Throws Illegal Operation where the
 * state does not allow it.
 */
export function revoke(
  object: StoredObject,
  reason: RevocationReason,
  compromiseOccurrence: Date | undefined,
  now: Date,
): StoredObject {
  const isCompromise = reason.revocationReasonCode === 'KeyCompromise' || reason.revocationReasonCode === 'CACompromise'
  const next = move(object, isCompromise ? 'compromise' : 'deactivate')
  const revoked = withValue(withValue(object, 'State', next), 'Revocation Reason', reason)
  if (!isCompromise) return touch(withValue(revoked, 'Deactivation Date', now), now)
  const occurrence = compromiseOccurrence ?? singleValue(object, 'Initial Date') ?? now
  return touch(withValue(withValue(revoked, 'Compromise Date', now), 'Compromise Occurrence Date', occurrence), now)
}

/** KMIP 1.4, 4.21. Throws Permission Denied for an Active object, and for one that is destroyed. */
export function destroy(object: StoredObject, now: Date): StoredObject {
  if (isDestroyed(object)) throw new KmipError('PermissionDenied', `object ${object.id} is destroyed already`)
  const state = stateOf(object)
  const stated = state === null ? object : withValue(object, 'State', move(object, 'destroy'))
  return touch(withValue(stated, 'Destroy Date', now), now)
}

/** Notes that something was changed (KMIP 1.4, 3.38). */
export function touch(object: StoredObject, now: Date): StoredObject {
  return withValue(object, 'Last Change Date', now)
}

function move(object: StoredObject, event: LifecycleEvent): State {
  const state = stateOf(object)
  if (state === null) {
    throw new KmipError('IllegalOperation', `cannot ${event} object ${object.id}: ${object.objectType} has no state`)
  }
  const next = nextState(state, event)
  if (next !== null) return next
  const reason = event === 'deactivate' || event === 'compromise' ? 'IllegalOperation' : 'PermissionDenied'
  const advice = state === 'Active' && event === 'destroy' ? '; revoke it first' : ''
  throw new KmipError(reason, `cannot ${event} object ${object.id} in state ${state}${advice}`)
}

function latest(object: StoredObject, date: Date): Date {
  const last = singleValue(object, 'Last Change Date')
  return last !== undefined && last > date ? last : date
}
