import type { KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import type { AskedOperation } from '../tasks/task-context.ts'

/** A KEK that goes; `destroyedAt` is null until its provider confirmed it. */
export interface ErasedKey {
  readonly key: KeyReference
  /** What the provider says of it; null: it knows no such key. */
  readonly answer: string | null
  readonly destroyedAt: number | null
  /** It was destroyed before the erasure. */
  readonly before: boolean
}

/** What a host of the cluster did about the KEKs. */
export interface ErasedHost {
  readonly name: string
  readonly outcome: 'confirmed' | 'absent'
  readonly at: number
  readonly text: string
  /** Until when at the latest it opens what it kept across restarts, where it was absent; null: it keeps nothing. */
  readonly keptUntil?: number | null
}

/** What the erasure of a VM remembers from step to step. */
export interface EraseState {
  readonly vm: VmAuthority
  readonly host: { readonly id: string; readonly name: string }
  readonly cluster: { readonly id: string; readonly name: string }
  readonly datastore: string
  readonly begunAt: number
  readonly approvalId: string
  readonly approvedBy: string
  readonly reason: string | null
  readonly keys: readonly ErasedKey[]
  readonly hosts: readonly ErasedHost[]
  /** The removal of the files, as the VM's host was asked for it. */
  readonly removal: AskedOperation | null
  readonly filesRemovedAt: number | null
  /** The signed certificate. */
  readonly statement: string | null
}
