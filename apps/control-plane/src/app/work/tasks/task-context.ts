import type {
  DiskAuthority,
  KeyReference,
  OperationRequest,
  PayloadFormat,
  VmAuthority,
  VmDetails,
} from '@cryptvisor/host-agent-api'
import type { NewEvent } from '../../ports.ts'

/** An empty disk that is to be made. */
export interface NewDisk {
  readonly diskId: string
  readonly number: number
  readonly format: PayloadFormat
  readonly virtualBytes: number
  /** By name. */
  readonly policy: string
  readonly encrypted: boolean
  /** The block device that it lies on. */
  readonly device?: string
}

/** How data is moved. What is left out is as it is best for most: verified, and as fast as the machine. */
export interface Pace {
  readonly verify?: boolean
  readonly bytesPerSecondMax?: number
}

/** What a task does to its VM. Policies are names. */
export type VmChange =
  | {
      readonly kind: 'create-vm'
      readonly details: VmDetails
      readonly encrypted: boolean
      readonly disks: readonly NewDisk[]
    }
  | { readonly kind: 'delete-vm' }
  | { readonly kind: 'add-disk'; readonly disk: NewDisk }
  | {
      readonly kind: 'import-disk'
      readonly diskId: string
      readonly number: number
      readonly format: PayloadFormat
      readonly payloadBytes: number
      readonly policy: string
    }
  | {
      readonly kind: 'import-volume'
      readonly mode: 'import' | 'adopt'
      readonly diskId: string
      readonly number: number
      readonly format: PayloadFormat
      readonly contentBytes: number
      readonly policy: string
      readonly encrypted: boolean
      readonly thin: boolean
      readonly pace: Pace
    }
  | { readonly kind: 'restore-header'; readonly diskId: string; readonly number: number; readonly contentBytes: number }
  | {
      readonly kind: 'encrypt' | 'decrypt'
      readonly home: { readonly policy: string } | null
      readonly disks: readonly {
        readonly diskId: string
        readonly number: number
        readonly policy: string
        readonly thin?: boolean
      }[]
      readonly pace?: Pace
    }
  | {
      readonly kind: 'shallow-rekey' | 'deep-rekey'
      readonly home: boolean
      readonly disks: readonly { readonly diskId: string; readonly number: number }[]
      /** The KEKs that the parts are wrapped with before. */
      readonly oldKeys: readonly KeyReference[]
      readonly pace: Pace
    }
  | {
      readonly kind: 'relabel'
      readonly home: { readonly policy: string } | null
      readonly disks: readonly { readonly diskId: string; readonly number: number; readonly policy: string }[]
    }
  | { readonly kind: 'detach-disk'; readonly diskId: string; readonly number: number; readonly remove: boolean }
  | {
      readonly kind: 'attach-disk'
      readonly disk: DiskAuthority
      /** Where the layer lies, when that is not the VM's folder. */
      readonly folder: string | null
    }
  | {
      readonly kind: 'clone-vm'
      /** As it was when the task took it, and is until the task lets go of it. */
      readonly source: VmAuthority
      readonly keys: 'same' | 'new'
      /** Of the clone's disks, in the order of the source's. */
      readonly diskIds: readonly string[]
      readonly pace: Pace
    }

/** The KEK that the change is about: what is encrypted is wrapped with it, what is decrypted was. */
export type KeyPlan =
  | { readonly kind: 'none' }
  | { readonly kind: 'existing'; readonly key: KeyReference }
  | { readonly kind: 'new'; readonly provider: string }

/** The KEK of a plan, as far as it is known before one is made. */
export function plannedKey(plan: KeyPlan): { readonly provider: string | null; readonly keyId: string | null } {
  switch (plan.kind) {
    case 'none':
      return { provider: null, keyId: null }
    case 'existing':
      return plan.key
    case 'new':
      return { provider: plan.provider, keyId: null }
  }
}

/** Why a task ends without having changed anything. */
export interface Failure {
  readonly state: 'error' | 'cancelled'
  readonly code: string
  readonly message: string
}

/** One journalled step of the agent's. It is on record before the agent is asked, so that the same can be asked again. */
export interface AskedOperation {
  readonly id: string
  readonly request: OperationRequest
  /** The agent answered to it at least once: when it knows nothing of it later, nothing is left of it. */
  readonly acknowledged: boolean
}

/** What is still to be done when the outcome is on record: the task counts as running until then. */
export interface Aftermath {
  readonly events: readonly NewEvent[]
  /** KEKs that no VM and no host uses any more; the hosts forget them. */
  readonly forgetKeys: readonly KeyReference[]
  /** Operations that the agent may forget. */
  readonly forgetOperations: readonly string[]
  /** The ID of the VM that was cloned, and that was the task's, too. */
  readonly source?: string
}

/**
 * What a task needs to go on after a restart; JSON in `task.context`, never a key.
 *
 * `preparing`: no agent was asked to change anything. `operating`: `operation` was, or is about to be. `undoing`: it is
 * certain that the change did not happen, or, for a VM that was half made, that it is to be taken back. `ended`: the
 * outcome is on record.
 */
export type TaskContext =
  | {
      readonly phase: 'preparing' | 'operating' | 'undoing'
      readonly change: VmChange
      readonly key: KeyPlan
      /** Whether the user may make hosts crypto-safe. */
      readonly registerHost: boolean
      readonly hostId: string
      /** How many of the change's operations are done. */
      readonly doneCount: number
      readonly operation: AskedOperation | null
      readonly failure: Failure | null
    }
  | { readonly phase: 'ended'; readonly hostId: string; readonly aftermath: Aftermath }

/** The context of a task that is still open. */
export type OpenContext = Exclude<TaskContext, { phase: 'ended' }>

/** Of a task that has nothing left to do. */
export const emptyContext = '{}'

/** Reads `task.context`; `null` for a task that has nothing left to do. */
export function parseContext(text: string): TaskContext | null {
  // Written by `formatContext`, and by nobody else.
  return text === emptyContext ? null : (JSON.parse(text) as TaskContext)
}

export function formatContext(context: TaskContext): string {
  return JSON.stringify(context)
}
