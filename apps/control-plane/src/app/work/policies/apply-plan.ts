import type { ApplyPlan, ChangePolicy, ComplianceReason, RekeyVm } from '@cryptvisor/control-plane-api'
import type { VmRecord } from '../vms/vm-store.ts'
import { ageInDays, assess, type PolicyFacts, type PolicyPart, partsOf } from './assessment.ts'

/** One task that brings a VM nearer to its policies, as a user could ask for it. */
export type ApplyStep =
  | {
      readonly kind: 'change'
      readonly action: 'encrypt' | 'decrypt'
      readonly request: ChangePolicy
      readonly view: StepView
    }
  | { readonly kind: 'rekey'; readonly request: RekeyVm; readonly view: StepView }

type StepView = ApplyPlan['steps'][number]

/** What bringing a VM into line takes. */
export interface PlannedVm {
  readonly vm: VmRecord
  /** In this order; after each one the rest is worked out anew. */
  readonly steps: readonly ApplyStep[]
  /** Parts whose policy was changed, and that only have to take note of its version. */
  readonly outOfDate: readonly PolicyPart[]
  readonly view: ApplyPlan
}

/** Rules that no task mends which may be begun by itself. */
const cures: Partial<Record<ComplianceReason['rule'], string>> = {
  thin: 'decrypt the disk and encrypt it again («vm decrypt --disk N», «vm encrypt --disk N --policy …»)',
  'key-state':
    'give it another key («vm rekey»; «--deep» where the old one may be in wrong hands), or bring the key back in its key server',
  hardened: 'nothing can be done about it in this version',
  lock: 'unlock the VM first («vm unlock»)',
}

/** Works out what brings a VM into line with its policies: which tasks, and what none of them can mend. */
export function planApply(vm: VmRecord, facts: PolicyFacts): PlannedVm {
  const parts = partsOf(vm, facts)
  const [home, ...disks] = parts
  if (home === undefined) throw new Error('a VM has a VM Home')
  const toEncrypt = parts.filter(({ keys, policy }) => keys === null && policy.encryption === 1)
  const toDecrypt = parts.filter(({ keys, policy }) => keys !== null && policy.encryption === 0)
  const toRekey = parts.filter((part) => isDue(part, facts))
  const blocked: ComplianceReason[] = []
  const block = (part: PolicyPart, rule: ComplianceReason['rule'], text: string) =>
    blocked.push({ part: part.name, rule, state: 'non-compliant', text: `${part.name}: ${text}` })

  const homeEncrypts = home.keys !== null || toEncrypt.includes(home)
  const encryptable = toEncrypt.filter((part) => part === home || homeEncrypts)
  for (const part of toEncrypt.filter((each) => !encryptable.includes(each))) {
    block(
      part,
      'order',
      `it cannot be encrypted while VM Home is plain, and its policy «${home.policy.name}» says plain: give VM Home a policy that encrypts first`,
    )
  }
  const staying = disks.filter(
    (part) => (part.keys !== null || encryptable.includes(part)) && !toDecrypt.includes(part),
  )
  const decryptable = toDecrypt.filter((part) => part !== home || staying.length === 0)
  if (toDecrypt.includes(home) && staying.length > 0) {
    const names = staying.map(({ name }) => name).join(', ')
    block(
      home,
      'order',
      `it cannot be decrypted while a disk is encrypted, and the policy of ${names} says encrypted: give ${names} a policy that does not encrypt first`,
    )
  }
  const { reasons } = assess(vm, facts)
  for (const reason of reasons) {
    const cure = cures[reason.rule]
    if (cure !== undefined) blocked.push({ ...reason, text: `${reason.text}: ${cure}` })
  }
  const steps = [
    ...byProvider(encryptable).map((group) => changeStep('encrypt', group)),
    ...byProvider(toRekey).map(rekeyStep),
    ...apart(decryptable).map((group) => changeStep('decrypt', group)),
  ]
  const outOfDate = parts.filter(({ appliedVersion, policy }) => appliedVersion < policy.version)
  const versions: StepView[] =
    outOfDate.length === 0
      ? []
      : [
          {
            action: 'take-version',
            parts: outOfDate.map(({ name }) => name),
            keyProvider: null,
            text: `take note that ${names(outOfDate)} ${outOfDate.length === 1 ? 'has' : 'have'} the changed policy now`,
          },
        ]
  const view = {
    vm: vm.row.name,
    vmId: vm.row.id,
    steps: [...steps.map((step) => step.view), ...versions],
    blocked,
  }
  return { vm, steps, outOfDate, view }
}

/** Whether an encrypted part needs another KEK: of another provider, or a younger one. */
function isDue({ keys, policy }: PolicyPart, facts: PolicyFacts): boolean {
  if (keys === null || policy.encryption === 0) return false
  return keys.some((key) => {
    if (policy.key_provider !== null && key.provider !== policy.key_provider) return true
    const days = ageInDays(key, facts)
    return policy.rotation_days !== null && days !== null && days >= policy.rotation_days
  })
}

/** Parts that one task can do: one key each, VM Home's first; a disk on a block device by itself. */
function byProvider(parts: readonly PolicyPart[]): PolicyPart[][] {
  return [...Map.groupBy(parts, ({ policy }) => policy.key_provider).values()].flatMap(apart)
}

/** Disks on block devices are rewritten in place, each by itself. */
function apart(parts: readonly PolicyPart[]): PolicyPart[][] {
  const isAlone = ({ disk }: PolicyPart) => disk !== null && disk.device !== null
  const together = parts.filter((part) => !isAlone(part))
  const groups = [...(together.length === 0 ? [] : [together]), ...parts.filter(isAlone).map((part) => [part])]
  return groups
}

function changeStep(action: 'encrypt' | 'decrypt', parts: readonly PolicyPart[]): ApplyStep {
  const keyProvider = action === 'encrypt' ? (parts[0]?.policy.key_provider ?? null) : null
  const home = parts.find(({ disk }) => disk === null)
  const disks = parts.flatMap(({ disk, policy }) =>
    disk === null ? [] : [{ number: disk.number, policy: policy.name }],
  )
  return {
    kind: 'change',
    action,
    request: { ...(home === undefined ? {} : { home: home.policy.name }), ...(disks.length === 0 ? {} : { disks }) },
    view: view(action, parts, keyProvider),
  }
}

function rekeyStep(parts: readonly PolicyPart[]): ApplyStep {
  const keyProvider = parts[0]?.policy.key_provider ?? null
  const numbers = parts.flatMap(({ disk }) => (disk === null ? [] : [disk.number]))
  return {
    kind: 'rekey',
    request: {
      depth: 'shallow',
      ...(parts.some(({ disk }) => disk === null) ? { home: true } : {}),
      ...(numbers.length === 0 ? {} : { disks: numbers }),
      ...(keyProvider === null ? {} : { keyProvider }),
    },
    view: view('rekey', parts, keyProvider),
  }
}

function view(
  action: 'encrypt' | 'rekey' | 'decrypt',
  parts: readonly PolicyPart[],
  keyProvider: string | null,
): StepView {
  const whose = keyProvider === null ? '' : ` with a key of ${keyProvider}`
  const how = {
    encrypt: `encrypt ${names(parts)}${whose}`,
    rekey: `rekey ${names(parts)} (shallow)${whose}`,
    decrypt: `decrypt ${names(parts)}`,
  }
  return { action, parts: parts.map(({ name }) => name), keyProvider, text: how[action] }
}

function names(parts: readonly PolicyPart[]): string {
  return parts.map(({ name }) => name).join(', ')
}
