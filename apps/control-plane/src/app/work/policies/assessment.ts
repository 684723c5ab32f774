import type { ComplianceReason, ComplianceState, VmCompliance } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { PolicyRow } from '../../../database/policy-rows.ts'
import { keyText } from '../../key-reference.ts'
import { parseEncryption, type VmRecord } from '../vms/vm-store.ts'

const dayMs = 86_400_000

/** What VMs are compared with. */
export interface PolicyFacts {
  /** By ID. */
  readonly policies: ReadonlyMap<string, PolicyRow>
  /** When KEKs were made, by `keyText`. */
  readonly keysMadeAt: ReadonlyMap<string, number>
  /** The states of KEKs that are not to be used any more, by `keyText`. */
  readonly revoked: ReadonlyMap<string, string>
  readonly now: number
}

/** VM Home or a disk, as the database has it, with its policy. */
export interface PolicyPart {
  /** «VM Home», «disk 0». */
  readonly name: string
  readonly vmId: string
  /** `null`: VM Home. */
  readonly disk: VmRecord['disks'][number] | null
  readonly keys: readonly KeyReference[] | null
  readonly policy: PolicyRow
  readonly appliedVersion: number
}

/** VM Home and the disks of a VM with their policies. */
export function partsOf(vm: VmRecord, { policies }: Pick<PolicyFacts, 'policies'>): PolicyPart[] {
  const part = (name: string, row: VmRecord['row'] | VmRecord['disks'][number], disk: PolicyPart['disk']) => {
    const policy = policies.get(row.policy_id)
    if (policy === undefined) throw new Error(`there is no storage policy ${row.policy_id}`)
    const keys = parseEncryption(row.encryption)?.keys ?? null
    return { name, vmId: vm.row.id, disk, keys, policy, appliedVersion: row.policy_version }
  }
  return [part('VM Home', vm.row, null), ...vm.disks.map((disk) => part(`disk ${disk.number}`, disk, disk))]
}

/** Whether a VM complies with its policies, as far as the database knows. */
export function assess(vm: VmRecord, facts: PolicyFacts): Pick<VmCompliance, 'state' | 'reasons' | 'parts'> {
  const parts = partsOf(vm, facts)
  const reasons = [...parts.flatMap((part) => reasonsOf(part, facts)), ...orderReasons(parts), ...lockReasons(vm)]
  return {
    state: stateOf(reasons),
    reasons,
    parts: parts.map((part) => ({
      part: part.name,
      policy: part.policy.name,
      appliedVersion: part.appliedVersion,
      policyVersion: part.policy.version,
      encrypted: part.keys !== null,
      state: stateOf(reasons.filter((reason) => reason.part === part.name || reason.part === 'VM')),
    })),
  }
}

function stateOf(reasons: readonly ComplianceReason[]): ComplianceState {
  if (reasons.some(({ state }) => state === 'non-compliant')) return 'non-compliant'
  return reasons.length === 0 ? 'compliant' : 'unknown'
}

function reasonsOf(part: PolicyPart, facts: PolicyFacts): ComplianceReason[] {
  const { name, policy, keys, appliedVersion } = part
  const reasons: ComplianceReason[] = []
  const say = (rule: ComplianceReason['rule'], text: string, state: ComplianceReason['state'] = 'non-compliant') =>
    reasons.push({ part: name, rule, state, text: `${name}: ${text}` })
  if (appliedVersion < policy.version) {
    say(
      'version',
      `«${policy.name}» was changed: it has version ${policy.version}, and version ${appliedVersion} was applied`,
    )
  }
  if (keys === null) {
    if (policy.encryption === 1) say('encryption', `it is plain, and «${policy.name}» says encrypted`)
    return reasons
  }
  if (policy.encryption === 0) {
    say('encryption', `it is encrypted, and «${policy.name}» says plain`)
    return reasons
  }
  for (const key of keys) {
    const named = `key ${key.keyId} of provider ${key.provider}`
    if (policy.key_provider !== null && key.provider !== policy.key_provider) {
      say('key-provider', `its ${named} is not of ${policy.key_provider}, as «${policy.name}» says`)
    }
    const revoked = facts.revoked.get(keyText(key))
    if (revoked !== undefined) say('key-state', `its ${named} is ${revoked === 'missing' ? 'gone' : revoked}`)
    const days = ageInDays(key, facts)
    if (policy.rotation_days !== null && days !== null && days >= policy.rotation_days) {
      say(
        'rotation',
        `rotation is due: its ${named} is ${days} days old, and «${policy.name}» says ${policy.rotation_days}`,
      )
    }
  }
  if (isThick(part)) say('thin', `it is raw, and «${policy.name}» says thin`)
  if (policy.hardened === 1) {
    say(
      'hardened',
      `«${policy.name}» says hardened mode, which this version does not carry out before VMs run`,
      'unknown',
    )
  }
  return reasons
}

/** Whole days since the key was made; `null`: nobody here knows when that was. */
export function ageInDays(key: KeyReference, { keysMadeAt, now }: PolicyFacts): number | null {
  const madeAt = keysMadeAt.get(keyText(key))
  return madeAt === undefined ? null : Math.floor((now - madeAt) / dayMs)
}

/** A disk on a block device cannot become thin. */
export function isThick({ disk, policy, keys }: PolicyPart): boolean {
  return policy.thin === 1 && keys !== null && disk !== null && disk.format === 'raw' && disk.device === null
}

function orderReasons(parts: readonly PolicyPart[]): ComplianceReason[] {
  const [home, ...disks] = parts
  const encrypted = disks.filter(({ keys }) => keys !== null).map(({ name }) => name)
  if (home === undefined || home.keys !== null || encrypted.length === 0) return []
  const text = `VM Home: it is plain while ${encrypted.join(', ')} is encrypted`
  return [{ part: home.name, rule: 'order', state: 'non-compliant', text }]
}

/** What is locked may be other than it was, and nobody can look. */
function lockReasons({ row }: VmRecord): ComplianceReason[] {
  if (row.lock_state === 'unlocked') return []
  const text = `VM: it is ${row.lock_state === 'locked' ? 'locked' : 'not known whether it opens'} (${row.lock_text ?? 'no reason is known'}), so that it cannot be looked at`
  return [{ part: 'VM', rule: 'lock', state: 'unknown', text }]
}
