import type { SetKeyType } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { WrappingKeyRow } from '../../../../database/wrapping-rows.ts'
import { ControlPlaneError } from '../../../control-plane-error.ts'
import type { Principal } from '../../../ports.ts'
import type { Database, WorkContext } from '../../context.ts'
import { findProvider } from '../../vms/lookup.ts'
import { findKey, insertKey, retireIfUnused, setKeyState } from '../key-rows.ts'
import type { Kms, Purpose } from '../kms.ts'
import { requireNoOrder } from '../orders/order-store.ts'
import { findWrapping } from './wrapping-rows.ts'

const dayMs = 86_400_000

/** Where nothing is said. */
const rotationDaysDefault = 365

/**
 * Says which keys a provider gives from now on: one for each VM, or a wrapping key for many. VMs keep the keys that they
 * have. Throws `not-found`, and `invalid` or `in-use` for a wrapping key that cannot be taken.
 */
export async function setKeyType(
  work: WorkContext,
  kms: Kms,
  name: string,
  request: SetKeyType,
  by: Principal,
): Promise<void> {
  const provider = await findProvider(work.database, name, 'name')
  const { keyType, rotationDays, wrappingKey } = request
  if (keyType === 'raw' && (rotationDays !== undefined || wrappingKey !== undefined)) {
    const field = rotationDays === undefined ? 'wrappingKey' : 'rotationDays'
    throw new ControlPlaneError('invalid', `${field}: with the key type raw each VM has a key of its own`, { field })
  }
  if (rotationDays !== undefined && wrappingKey !== undefined) {
    const message = 'wrappingKey: a key that you choose is taken for good; leave rotationDays out, or the key'
    throw new ControlPlaneError('invalid', message, { field: 'wrappingKey' })
  }
  const purpose: Purpose = { host: null, vm: null, user: by.name, task: null }
  if (wrappingKey !== undefined) await requireUsable(kms, { provider, keyId: wrappingKey }, purpose)
  await work.events.transaction(async (transaction, record) => {
    const now = work.clock()
    const before = await findWrapping(transaction, provider)
    const after = keyType === 'raw' ? null : await rowFor(transaction, provider, request, before, now)
    if (isSame(before, after)) return
    if (before !== null) await transaction.deleteFrom('wrapping_key').where('provider', '=', provider).execute()
    if (after !== null) await transaction.insertInto('wrapping_key').values(after).execute()
    if (before !== null && before.key_id !== null && before.key_id !== after?.key_id) {
      await retireIfUnused(transaction, { provider, keyId: before.key_id }, now)
    }
    await record({
      type: 'key-provider.key-type-changed',
      provider,
      keyId: after?.key_id ?? null,
      text: `key provider ${provider} gives ${textOf(after)} from now on; VMs keep the keys that they have`,
      user: by.name,
    })
  })
}

/** The key exists, is an AES-256 key that can be had, and is Active. */
async function requireUsable(kms: Kms, key: KeyReference, purpose: Purpose): Promise<void> {
  const description = await kms.describe(key, purpose)
  if (description === null) {
    const message = `wrappingKey: key provider ${key.provider} has no key ${key.keyId}: see «keys list»`
    throw new ControlPlaneError('not-found', message, { field: 'wrappingKey' })
  }
  if (description.state !== null && description.state !== 'Active') {
    const message = `wrappingKey: key ${key.keyId} is ${description.state}: activate it at the key server, or choose another one`
    throw new ControlPlaneError('invalid', message, { field: 'wrappingKey' })
  }
  using _kek = await kms.fetch(key, purpose)
}

async function rowFor(
  transaction: Database,
  provider: string,
  { rotationDays, wrappingKey }: SetKeyType,
  before: WrappingKeyRow | null,
  now: number,
): Promise<WrappingKeyRow> {
  if (wrappingKey !== undefined) {
    await claim(transaction, { provider, keyId: wrappingKey }, now)
    const since = before?.key_id === wrappingKey ? (before.since ?? now) : now
    return { provider, key_id: wrappingKey, since, rotation_ms: null, due_at: null }
  }
  const rotationMs = (rotationDays ?? rotationDaysDefault) * dayMs
  const keyId = before?.key_id ?? null
  const since = before?.since ?? null
  return { provider, key_id: keyId, since, rotation_ms: rotationMs, due_at: since === null ? now : since + rotationMs }
}

/** The chosen key becomes the provider's; one that is a VM's or a host's own stays theirs. */
async function claim(transaction: Database, key: KeyReference, now: number): Promise<void> {
  await requireNoOrder(transaction, key)
  const row = await findKey(transaction, key)
  if (row === null) {
    const owner = { kind: 'key-provider' as const, id: key.provider, name: key.provider }
    await insertKey(transaction, key, owner, { taskId: null, state: 'current', now })
    return
  }
  if (row.owner_kind !== 'key-provider' || row.state === 'destroyed' || row.state === 'discarded') {
    const whose = row.owner_kind === 'vm' ? `VM ${row.owner_name}’s` : `host ${row.owner_name}’s`
    const why = row.owner_kind === 'key-provider' ? `is ${row.state}` : `is ${whose} own`
    throw new ControlPlaneError('in-use', `wrappingKey: key ${key.keyId} ${why}: choose another one`, {
      field: 'wrappingKey',
    })
  }
  await setKeyState(transaction, key, 'current', now)
}

function isSame(one: WrappingKeyRow | null, other: WrappingKeyRow | null): boolean {
  return one?.key_id === other?.key_id && one?.rotation_ms === other?.rotation_ms && (one === null) === (other === null)
}

function textOf(row: WrappingKeyRow | null): string {
  if (row === null) return 'each VM a key of its own (raw)'
  if (row.rotation_ms === null) return `the wrapping key ${row.key_id} to all VMs (wrapped)`
  return `one wrapping key to many VMs (wrapped), and makes another one after ${row.rotation_ms / dayMs} days`
}
