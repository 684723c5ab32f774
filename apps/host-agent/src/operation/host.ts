import type { Secret } from '@cryptvisor/secret'
import type { Storage } from '@cryptvisor/storage'
import type { LaneSettings, Pace } from '../data-path/index.ts'
import type { Datastores } from '../datastore/datastores.ts'
import type { KeyCache } from '../key-cache.ts'
import type { BulkLimit } from './bulk-limit.ts'
import type { RunningMachines } from './lent-machine.ts'
import type { Progress } from './progress.ts'

/** What operations have of the host that they run on. */
export interface OperationHost {
  readonly storage: Storage
  readonly datastores: Datastores
  readonly keys: KeyCache
  readonly cryptoSupported: boolean
  readonly bulk: BulkLimit
  /** How many disks are read out at once. */
  readonly exports: BulkLimit
  /** How many volumes of others it opens at once. */
  readonly unlocking: BulkLimit
  /** How the data of each disk is moved. */
  readonly lanes: LaneSettings
  /** How many bytes of a disk may have to be done again after a crash. */
  readonly checkpointBytes: number
  /** What runs here of VMs. */
  readonly machines: RunningMachines
  /** Something to know that is no failure; for the log. */
  warn(text: string): void
}

/** What a running operation has of its place in the registry. */
export interface Task {
  readonly progress: Progress
  readonly pace: Pace
  /** Aborted when it is cancelled, or the agent stops. */
  readonly signal: AbortSignal
  /** Aborted when the agent stops, whether it is cancelled or not. */
  readonly stopping: AbortSignal
  /** The passphrase that an import of a volume waits for; it stays the task's. Rejects with the signal's reason. */
  passphrase(): Promise<Secret>
  /** The bytes that an import waits for. Rejects with the signal's reason. */
  content(): Promise<AsyncIterable<Uint8Array>>
  /**
   * Does what has to be done before the operation may end, again and again until it works; a cancel changes nothing.
   * Rejects only when the agent stops, with AgentError `left`: then recovery does it.
   */
  insist<Result>(step: string, action: () => Promise<Result>): Promise<Result>
}
