import { join } from 'node:path'
import type { ApplyPlan, ApplyPolicies, DetachedDisk, VmCompliance } from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { requirePrivileges } from '../../access-control.ts'
import { timeText } from '../../clock.ts'
import { within } from '../../inventory/inventory-object.ts'
import { clusterPath, pathOfId } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import type { Sagas } from '../sagas/sagas.ts'
import { findPolicy } from '../vms/lookup.ts'
import { parseEncryption } from '../vms/vm-store.ts'
import { layerFile } from '../vms/vm-view.ts'
import type { Compliance } from './compliance.ts'
import { claimDetached, findDetached } from './detached-disks.ts'
import type { KeyRevocations } from './key-revocations.ts'
import type { LayerRemoval } from './layer-removal.ts'
import { type PolicyApplication, planViews } from './policy-application.ts'

/** What the work does about storage policies: compliance, applying them, and disks that were detached. */
export class PolicyWork {
  readonly #work: WorkContext
  readonly #compliance: Compliance
  readonly #revocations: KeyRevocations
  readonly #application: PolicyApplication
  readonly #removal: SagaDefinition<LayerRemoval>
  readonly #sagas: Sagas

  constructor(
    work: WorkContext,
    parts: {
      readonly compliance: Compliance
      readonly revocations: KeyRevocations
      readonly application: PolicyApplication
      readonly removal: SagaDefinition<LayerRemoval>
      readonly sagas: Sagas
    },
  ) {
    this.#work = work
    this.#compliance = parts.compliance
    this.#revocations = parts.revocations
    this.#application = parts.application
    this.#removal = parts.removal
    this.#sagas = parts.sagas
  }

  /** Whether VMs comply with their policies: one, those that have a policy, or all that `principal` may see. Throws `not-found`. */
  compliance(principal: Principal, query: ApplyPolicies): Promise<VmCompliance[]> {
    return this.#compliance.list(principal, query)
  }

  /** What `apply` would do, and what it could not. Throws `not-found`, `invalid`. */
  async preview(principal: Principal, request: ApplyPolicies): Promise<ApplyPlan[]> {
    return planViews(await this.#application.plan(principal, 'StorageProfile.View', request))
  }

  /**
   * Brings VMs into line with their policies, as far as tasks can; `task` is `null` when there is nothing that one could do. Throws
   * `no-privilege` before anything is done.
   */
  async apply(principal: Principal, request: ApplyPolicies): Promise<{ task: TaskRow | null; plans: ApplyPlan[] }> {
    const plans = await this.#application.plan(principal, 'StorageProfile.Apply', request)
    this.#application.requireFor(principal, plans)
    const able = plans.filter(({ view }) => view.steps.length > 0)
    const [first] = able
    if (first === undefined) return { task: null, plans: planViews(plans) }
    const target =
      request.policy === undefined
        ? ({ kind: 'vm', id: first.view.vmId, name: first.view.vm } as const)
        : ({
            kind: 'system',
            id: (await findPolicy(this.#work.database, request.policy, 'policy')).id,
            name: request.policy,
          } as const)
    const task = await this.#sagas.begin({
      definition: this.#application.saga,
      target,
      state: { vmIds: able.map(({ view }) => view.vmId) },
      principal,
    })
    return { task, plans: planViews(plans) }
  }

  /** The rules of a policy are other ones: VMs are out of date, and a key that was revoked may mean something else for them. */
  async policyChanged(name: string): Promise<void> {
    await this.#revocations.reconsider()
    await this.#compliance.checkPolicy(name)
  }

  /** Those on datastores whose files `principal` may list, by when they were detached. */
  async detachedDisks(principal: Principal): Promise<DetachedDisk[]> {
    const rows = await this.#work.database
      .selectFrom('detached_disk')
      .innerJoin('datastore', 'datastore.id', 'detached_disk.datastore_id')
      .innerJoin('cluster', 'cluster.id', 'datastore.cluster_id')
      .selectAll('detached_disk')
      .select([
        'datastore.name as datastore',
        'datastore.path as root',
        'cluster.name as cluster',
        'cluster.id as clusterId',
      ])
      .orderBy('detached_at')
      .execute()
    const visible = rows.filter((row) => {
      const store = { kind: 'datastore', id: row.datastore_id, name: row.datastore } as const
      return principal.can('Datastore.Browse', within(store, clusterPath(row.clusterId, row.cluster)))
    })
    return visible.map((row) => {
      const encryption = parseEncryption(row.encryption)
      return {
        layer: row.layer_id,
        datastore: row.datastore,
        cluster: row.cluster,
        path: row.device ?? join(row.root, row.folder, layerFile(row, encryption !== null)),
        format: row.format,
        sizeBytes: row.virtual_bytes,
        encrypted: encryption !== null,
        key: encryption?.keys.at(-1) ?? null,
        vm: row.vm_name,
        number: row.number,
        detachedAt: timeText(row.detached_at),
        detachedBy: row.detached_by,
        task: row.task_id,
      }
    })
  }

  /** Removes a detached disk with its data. Throws `not-found`, `vm-busy`, `no-privilege`. */
  async removeDetached(principal: Principal, layerId: string): Promise<TaskRow> {
    const layer = await findDetached(this.#work.database, layerId)
    const { cluster_id: clusterId } = await this.#work.database
      .selectFrom('datastore')
      .select('cluster_id')
      .where('id', '=', layer.datastore_id)
      .executeTakeFirstOrThrow()
    const path = await pathOfId(this.#work.database, { kind: 'datastore', id: layer.datastore_id })
    if (path !== null) requirePrivileges(principal, ['Datastore.FileManagement'], path)
    const keys = parseEncryption(layer.encryption)?.keys ?? []
    return this.#sagas.begin({
      definition: this.#removal,
      target: { kind: 'system', id: layerId, name: `disk ${layer.number} of ${layer.vm_name}` },
      state: { layerId, clusterId, keys },
      principal,
      claim: async (transaction, taskId) => void (await claimDetached(transaction, layerId, taskId)),
    })
  }
}
