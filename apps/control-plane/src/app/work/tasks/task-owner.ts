import type { Task } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'

/**
 * Throws `no-privilege` for anybody but who began the task: what it waits for becomes data of the VM with that user's
 * privileges, so nobody else may put something in its place.
 */
export function requireOwner({ id, user }: Pick<Task, 'id' | 'user'>, { name }: Principal): void {
  if (user === name) return
  throw new ControlPlaneError('no-privilege', `task ${id} waits for what ${user} sends, who began it, and not ${name}`)
}
