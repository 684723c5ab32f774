import type { VmAuthority } from '@cryptvisor/host-agent-api'
import type { Storage } from '@cryptvisor/storage'
import { AgentError } from '../agent-error.ts'
import type { LaneSettings, Pace } from '../data-path/index.ts'
import type { Datastores } from '../datastore/datastores.ts'
import type { Folder } from '../datastore/folder.ts'
import type { VmDocument } from '../datastore/vm-document.ts'
import type { BulkLimit } from './bulk-limit.ts'
import type { Task } from './host.ts'
import type { Journal } from './journal.ts'
import type { Resumed } from './journal-keys.ts'
import type { KeyLoans } from './key-loans.ts'
import type { Plan } from './plan.ts'
import type { Progress } from './progress.ts'

/** What an operation has at hand while it makes what its plan says. */
export interface Work {
  readonly plan: Plan
  /** The VM's folder, locked for us. */
  readonly folder: Folder
  /** The VM's `home/`. */
  readonly home: Folder
  /** `vm.json` as it is, in agreement with the control plane; `null` for a VM that is being created. */
  readonly previous: VmDocument | null
  readonly progress: Progress
  readonly pace: Pace
  /** How the data of each disk is moved. */
  readonly lanes: LaneSettings
  /** How many bytes of a disk may have to be done again after a crash. */
  readonly checkpointBytes: number
  /** How many disks of this host move data at once. */
  readonly bulk: BulkLimit
  /** How many volumes of others it opens at once. */
  readonly unlocking: BulkLimit
  /** Whether all that is written is read back and compared before the commit. */
  readonly verifies: boolean
  /** What an earlier try left, which is gone on with; `null` for a first try. */
  readonly resumed: Resumed | null
  /** Aborted when the operation is to stop; after the commit nobody looks at it. */
  readonly signal: AbortSignal
  /** What an operation has that nothing can stop any more. */
  readonly task: Pick<Task, 'insist' | 'stopping'>
  readonly storage: Storage
  /** Where other VMs lie that it reads. */
  readonly datastores: Datastores
  /** What is to be disposed of when the operation has ended. */
  readonly stack: DisposableStack
  /** The KEKs that the plan needs. */
  readonly keys: KeyLoans
  /** Something to know that is no failure. */
  warn(text: string): void
}

/** What an operation has made: durable, read back and compared, but not committed. */
export interface Made {
  readonly next: VmAuthority
  /** In state `ready`; `null` where nothing old is removed. */
  readonly journal: Journal | null
}

/** `vm.json` of a VM that exists. Every operation but creating has one. */
export function previousOf({ previous }: Work): VmDocument {
  if (previous === null) throw new AgentError('internal', 'this operation needs a VM that exists')
  return previous
}
