import type { TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { Database } from '../context.ts'
import type { SagaDefinition, SagaState } from '../sagas/definition.ts'
import { claimVm, type Sagas } from '../sagas/sagas.ts'
import { findVm } from '../vms/lookup.ts'
import type { VmRecord } from '../vms/vm-store.ts'

interface BeginningOnVm<State extends SagaState> {
  readonly definition: SagaDefinition<State>
  /** As it was when the request was checked. */
  readonly vm: VmRecord
  readonly state: State
  readonly principal: Pick<Principal, 'name'>
  /** Makes sure that what was checked still holds. */
  readonly check: (transaction: Database, now: VmRecord) => Promise<void>
}

/** Gives a VM to a task that changes how or where it runs. Throws `vm-busy`, and what `check` throws. */
export function beginOnVm<State extends SagaState>(
  sagas: Sagas,
  { definition, vm, state, principal, check }: BeginningOnVm<State>,
): Promise<TaskRow> {
  return sagas.begin({
    definition,
    target: { kind: 'vm', id: vm.row.id, name: vm.row.name },
    state,
    principal,
    claim: async (transaction, taskId) => {
      const now = await findVm(transaction, vm.row.id)
      await claimVm(transaction, vm.row.id, taskId)
      if (now.row.host_id !== vm.row.host_id) throw changedNow(vm)
      await check(transaction, now)
    },
  })
}

/** Somebody was faster. */
export function changedNow(vm: VmRecord): ControlPlaneError {
  return new ControlPlaneError('vm-busy', `VM ${vm.row.name} was changed at this very moment: look, and try again`)
}
