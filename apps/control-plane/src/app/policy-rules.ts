import type { ChangeStoragePolicy } from '@cryptvisor/control-plane-api'
import type { PolicyRow } from '../database/policy-rows.ts'
import { ControlPlaneError } from './control-plane-error.ts'

/** What of a policy a change of it has to count for: all but its texts. */
export type PolicyRules = Pick<
  PolicyRow,
  'encryption' | 'key_provider' | 'thin' | 'verify' | 'rotation_days' | 'on_revocation' | 'grace_minutes' | 'hardened'
>

/** Of a policy that says nothing. */
export const noRules: PolicyRules = {
  encryption: 0,
  key_provider: null,
  thin: 0,
  verify: 0,
  rotation_days: null,
  on_revocation: 'keep-running',
  grace_minutes: null,
  hardened: 0,
}

/**
 * The rules that come of `before` with what `request` says. Throws `invalid`, naming the field, for rules that do not go
 * together.
 */
export function changedRules(before: PolicyRules, request: ChangeStoragePolicy): PolicyRules {
  const bit = (value: boolean | undefined, old: number) => (value === undefined ? old : Number(value))
  const onRevocation = request.onRevocation ?? before.on_revocation
  const graceMinutes =
    request.graceMinutes === undefined && onRevocation !== 'stop-after-grace'
      ? null
      : (request.graceMinutes ?? before.grace_minutes)
  const rules: PolicyRules = {
    encryption: bit(request.encryption, before.encryption),
    key_provider: request.keyProvider === undefined ? before.key_provider : request.keyProvider,
    thin: bit(request.thin, before.thin),
    verify: bit(request.verify, before.verify),
    rotation_days: request.rotationDays === undefined ? before.rotation_days : request.rotationDays,
    on_revocation: onRevocation,
    grace_minutes: graceMinutes,
    hardened: bit(request.hardened, before.hardened),
  }
  check(rules)
  return rules
}

/** Whether VMs that have the policy are out of date when its rules become `after`. */
export function rulesDiffer(before: PolicyRules, after: PolicyRules): boolean {
  // Both have these fields.
  return (Object.keys(noRules) as (keyof PolicyRules)[]).some((name) => before[name] !== after[name])
}

function check(rules: PolicyRules): void {
  if (rules.on_revocation === 'stop-after-grace' && rules.grace_minutes === null) {
    throw invalid('graceMinutes', 'stop-after-grace needs to know how many minutes')
  }
  if (rules.on_revocation !== 'stop-after-grace' && rules.grace_minutes !== null) {
    throw invalid('graceMinutes', 'goes with stop-after-grace alone')
  }
  if (rules.encryption === 1) return
  const needless = [
    ['keyProvider', rules.key_provider !== null],
    ['thin', rules.thin === 1],
    ['verify', rules.verify === 1],
    ['rotationDays', rules.rotation_days !== null],
    ['onRevocation', rules.on_revocation !== 'keep-running'],
    ['hardened', rules.hardened === 1],
  ] as const
  for (const [field, isSet] of needless) {
    if (isSet) throw invalid(field, 'is a rule for what is encrypted, and this policy does not encrypt')
  }
}

function invalid(field: string, text: string): ControlPlaneError {
  return new ControlPlaneError('invalid', `${field}: ${text}`, { field })
}
