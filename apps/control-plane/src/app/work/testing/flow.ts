import { type EventType, encryptionPolicy, type Task } from '@cryptvisor/control-plane-api'
import { admin, type World } from './world.ts'

/** One thing that a user asks for, from a state in which it can be asked for. */
export interface Flow {
  readonly name: string
  prepare(world: World): Promise<void>
  act(world: World): Promise<Task>
  /** Whether it happened, in full; `false`: nothing of it did. */
  happened(world: World): Promise<boolean>
  /** Who is asked for a change of a VM; `host-a` when left out. */
  readonly host?: 'host-b'
  /** The event that tells of it, and the one that tells of its failure. */
  readonly event: EventType
  readonly failureEvent: EventType | null
}

/** A VM `web` under `key-3`; `key-1` and `key-2` are the host keys. */
export async function prepareEncrypted(world: World): Promise<void> {
  await world.plainVm()
  await succeeded(world, await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
}

/** Throws when the task does not end well. */
export async function succeeded(world: World, task: Task): Promise<void> {
  const { state, error } = await world.ended(task)
  if (state !== 'success') throw new Error(error?.message ?? state)
}
