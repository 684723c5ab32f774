import type { PolicyRow } from '../../../database/policy-rows.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Database } from '../context.ts'
import type { KeyPlan, Pace } from '../tasks/task-context.ts'
import { findProviderFor } from './lookup.ts'
import { parseEncryption, type VmRecord } from './vm-store.ts'

type NamedRules = Pick<PolicyRow, 'name' | 'key_provider' | 'verify' | 'thin'>

/**
 * The provider that policies and request name together; `undefined`: none, so that it is a matter of defaults. Throws `invalid`
 * where they name different ones.
 */
export function namedProvider(policies: readonly NamedRules[], requested: string | undefined): string | undefined {
  const naming = policies.filter(({ key_provider }) => key_provider !== null)
  const [first] = naming
  const other = naming.find(({ key_provider }) => key_provider !== (requested ?? first?.key_provider))
  if (other === undefined) return requested ?? first?.key_provider ?? undefined
  if (requested !== undefined) {
    throw new ControlPlaneError(
      'invalid',
      `keyProvider: storage policy «${other.name}» says ${other.key_provider}, not ${requested}: leave it out, or choose another policy`,
      { field: 'keyProvider' },
    )
  }
  throw new ControlPlaneError(
    'invalid',
    `disks: one request makes one key, and «${first?.name}» says provider ${first?.key_provider} where «${other.name}» says ${other.key_provider}: send a request for each`,
    { field: 'disks' },
  )
}

/** The KEK of VM Home. */
export function existingKey(vm: VmRecord): KeyPlan {
  const key = parseEncryption(vm.row.encryption)?.keys.at(-1)
  return key === undefined ? { kind: 'none' } : { kind: 'existing', key }
}

/** A disk of an encrypted VM is encrypted with the VM's KEK, unless another provider is to make one. Throws `not-found`. */
export async function keyForDisk(database: Database, vm: VmRecord, provider: string | undefined): Promise<KeyPlan> {
  const existing = existingKey(vm)
  if (existing.kind === 'existing' && (provider === undefined || provider === existing.key.provider)) return existing
  return { kind: 'new', provider: await findProviderFor(database, provider, vm) }
}

/** Throws `invalid` where a request would do without the reading back that a policy asks for. */
export function checkVerify(policies: readonly NamedRules[], { verify }: Pace): void {
  const policy = policies.find((each) => each.verify === 1)
  if (policy === undefined || verify !== false) return
  const message = `verify: storage policy «${policy.name}» says that all that is written is read back: leave «--no-verify» out`
  throw new ControlPlaneError('invalid', message, { field: 'verify' })
}

/** Throws `invalid` where a request says something else than a policy about disks that become thin. */
export function checkThin(policies: readonly NamedRules[], thin: boolean | undefined): void {
  const policy = policies.find((each) => each.thin === 1)
  if (policy === undefined || thin !== false) return
  const message = `thin: storage policy «${policy.name}» says that disks become thin: leave it out`
  throw new ControlPlaneError('invalid', message, { field: 'thin' })
}

/** The format of an empty disk that is to be encrypted: as asked for, and thin where the policy says so. Throws `invalid`. */
export function formatFor(
  policy: NamedRules,
  encrypted: boolean,
  requested: 'raw' | 'qcow2' | undefined,
  field: string,
): 'raw' | 'qcow2' {
  const thin = encrypted && policy.thin === 1
  if (!thin) return requested ?? 'raw'
  if (requested !== 'raw') return 'qcow2'
  const message = `${field}: storage policy «${policy.name}» says that disks are thin, and a raw one is not: leave it out`
  throw new ControlPlaneError('invalid', message, { field })
}
