import { type Static, Type } from 'typebox'
import { Name, Nullable, Time } from './names.ts'
import { Task } from './tasks.ts'

/** `unknown`: what the database knows is as it should be, and it cannot tell whether that is all. */
export const ComplianceState = Type.Union([
  Type.Literal('compliant'),
  Type.Literal('non-compliant'),
  Type.Literal('unknown'),
])
export type ComplianceState = Static<typeof ComplianceState>

/** Which rule something is about. `version`: the policy was changed since it was applied. */
export const ComplianceRule = Type.Union([
  Type.Literal('version'),
  Type.Literal('encryption'),
  Type.Literal('order'),
  Type.Literal('key-provider'),
  Type.Literal('key-state'),
  Type.Literal('rotation'),
  Type.Literal('thin'),
  Type.Literal('hardened'),
  Type.Literal('lock'),
])
export type ComplianceRule = Static<typeof ComplianceRule>

/** Why a VM is not compliant, or why that is not known. */
export const ComplianceReason = Type.Object({
  /** «VM Home», «disk 0», or «VM» where it is about all of it. */
  part: Type.String(),
  rule: ComplianceRule,
  state: Type.Union([Type.Literal('non-compliant'), Type.Literal('unknown')]),
  text: Type.String(),
})
export type ComplianceReason = Static<typeof ComplianceReason>

export const VmCompliance = Type.Object({
  vm: Name,
  vmId: Type.String(),
  host: Name,
  state: ComplianceState,
  reasons: Type.Array(ComplianceReason),
  parts: Type.Array(
    Type.Object({
      part: Type.String(),
      policy: Name,
      /** The version that was applied, and the one that the policy has. */
      appliedVersion: Type.Integer(),
      policyVersion: Type.Integer(),
      encrypted: Type.Boolean(),
      state: ComplianceState,
    }),
  ),
  /** Since when it is in this state, and when that was looked at; `null`: it is the first time. */
  since: Nullable(Time),
  checkedAt: Time,
})
export type VmCompliance = Static<typeof VmCompliance>
export const VmComplianceList = Type.Object({ vms: Type.Array(VmCompliance) })

/** One VM, or all that have a policy. */
export const ApplyPolicies = Type.Object(
  { vm: Type.Optional(Name), policy: Type.Optional(Name) },
  { additionalProperties: false },
)
export type ApplyPolicies = Static<typeof ApplyPolicies>

/** What bringing a VM into line with its policies takes: tasks, one after the other, and what none of them can mend. */
export const ApplyPlan = Type.Object({
  vm: Name,
  vmId: Type.String(),
  steps: Type.Array(
    Type.Object({
      action: Type.Union([
        Type.Literal('encrypt'),
        Type.Literal('rekey'),
        Type.Literal('decrypt'),
        Type.Literal('take-version'),
      ]),
      /** «VM Home», «disk 0». */
      parts: Type.Array(Type.String()),
      /** Who makes the key; `null`: no key is made, or the default key provider makes it. */
      keyProvider: Nullable(Name),
      text: Type.String(),
    }),
  ),
  blocked: Type.Array(ComplianceReason),
})
export type ApplyPlan = Static<typeof ApplyPlan>
export const ApplyPlanList = Type.Object({ plans: Type.Array(ApplyPlan) })

/** `task`: `null` when everything is in line already. */
export const ApplyStarted = Type.Object({ task: Nullable(Task), plans: Type.Array(ApplyPlan) })
export type ApplyStarted = Static<typeof ApplyStarted>
