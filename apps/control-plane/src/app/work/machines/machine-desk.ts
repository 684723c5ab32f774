import type { ChangePower, DeclareOff, MigrateVm, Task, Vm } from '@cryptvisor/control-plane-api'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { hostNamed } from '../hosts/host-lookup.ts'
import type { TaskDesk } from '../tasks/task-desk.ts'
import { findVm } from '../vms/lookup.ts'
import { vmView } from '../vms/vm-view.ts'
import type { MachineReports } from './machine-reports.ts'
import type { Powers } from './powers.ts'
import { stopStray } from './stray-machines.ts'

/** What users do with VMs as machines: their power, and which host runs them. Every method throws `ControlPlaneError`. */
export class MachineDesk {
  readonly #work: WorkContext
  readonly #powers: Powers
  readonly #reports: MachineReports
  readonly #tasks: TaskDesk

  constructor(work: WorkContext, powers: Powers, reports: MachineReports, tasks: TaskDesk) {
    this.#work = work
    this.#powers = powers
    this.#reports = reports
    this.#tasks = tasks
  }

  /** Starts or stops a VM, or holds it. */
  async changePower(principal: Principal, nameOrId: string, request: ChangePower): Promise<Task> {
    return this.#tasks.view(await this.#powers.change(principal, nameOrId, request))
  }

  /** Takes somebody's word that a VM is off whose host cannot say so. */
  async declareOff(principal: Principal, nameOrId: string, request: DeclareOff): Promise<Vm> {
    await this.#powers.declareOff(principal, nameOrId, request)
    return vmView(await findVm(this.#work.database, nameOrId))
  }

  /** Gives a VM that is off to another host. */
  async migrate(principal: Principal, nameOrId: string, request: MigrateVm): Promise<Task> {
    return this.#tasks.view(await this.#powers.migrate(principal, nameOrId, request))
  }

  /** Ends a VM on a host that is not to run it. */
  async stopStray(principal: Principal, host: string, vm: string): Promise<void> {
    const row = await hostNamed(this.#work.database, host)
    await stopStray(this.#work, row, vm, principal)
    await this.#reports.askHost(row.id)
  }
}
