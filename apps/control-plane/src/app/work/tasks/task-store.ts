import type { Task, TaskTarget } from '@cryptvisor/control-plane-api'
import type { ExpressionBuilder } from 'kysely'
import { v7 } from 'uuid'
import type { Schema, TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Scope } from '../../permissions/scope.ts'
import type { Principal } from '../../ports.ts'
import { tieTask } from '../../request-keys.ts'
import type { Database, WorkContext } from '../context.ts'
import { emptyContext } from './task-context.ts'

/** Of the changes of one VM. */
export type VmTaskType =
  | 'vm.create'
  | 'vm.delete'
  | 'vm.add-disk'
  | 'vm.import-disk'
  | 'vm.import-volume'
  | 'vm.restore-header'
  | 'vm.clone'
  | 'vm.encrypt'
  | 'vm.decrypt'
  | 'vm.rekey'
  | 'vm.policy'
  | 'vm.detach-disk'
  | 'vm.attach-disk'
  | 'vm.remove-disk'

export interface NewTask {
  /** Such as `vm.encrypt`: a `VmTaskType`, or the type of a saga of steps. */
  readonly type: string
  readonly target: TaskTarget
  readonly principal: Pick<Principal, 'name'>
  /** What it needs to go on, as JSON; `null`: there is nothing to do, and the task is a success at once. */
  readonly context: string | null
  readonly step: string
  readonly totalBytes: number
}

/** Writes the row of a new task; within the transaction that gives it its VM. */
export async function insertTask(database: Database, clock: WorkContext['clock'], task: NewTask): Promise<TaskRow> {
  const now = clock()
  const nothing = task.context === null
  const row: TaskRow = {
    id: v7(),
    type: task.type,
    target_kind: task.target.kind,
    target_id: task.target.id,
    target_name: task.target.name,
    state: nothing ? 'success' : 'queued',
    step: task.step,
    done_bytes: 0,
    total_bytes: task.totalBytes,
    key_provider: null,
    key_id: null,
    cancel_requested: 0,
    error_code: null,
    error_message: null,
    context: task.context ?? emptyContext,
    user_name: task.principal.name,
    created_at: now,
    started_at: nothing ? now : null,
    ended_at: nothing ? now : null,
  }
  await database.insertInto('task').values(row).execute()
  await tieTask(database, row.id)
  return row
}

export async function updateTask(database: Database, id: string, change: Partial<Omit<TaskRow, 'id'>>): Promise<void> {
  await database.updateTable('task').set(change).where('id', '=', id).execute()
}

/** The row of a task; throws `not-found`. */
export async function getTask(database: Database, id: string): Promise<TaskRow> {
  const row = await database.selectFrom('task').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw new ControlPlaneError('not-found', `there is no task ${id}`, { field: 'task' })
  return row
}

/** The most tasks that one answer lists. */
const tasksListedMax = 1_000

/** The newest tasks first. `vm` is a name or ID; that of a VM which is gone works too. */
export async function listTasks(
  database: Database,
  query: {
    readonly vm?: string
    readonly state?: Task['state']
    readonly limit?: number
    /** Only those of what is in it, and those that `user` began. */
    readonly scope?: Scope
    readonly user?: string
  },
): Promise<TaskRow[]> {
  let select = database
    .selectFrom('task')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(Math.min(query.limit ?? 100, tasksListedMax))
  if (query.state !== undefined) select = select.where('state', '=', query.state)
  const { vm } = query
  if (vm !== undefined) {
    select = select.where((where) => where.or([where('target_id', '=', vm), where('target_name', '=', vm)]))
  }
  const { scope, user = '' } = query
  if (scope !== undefined && !scope.everywhere) select = select.where((where) => isVisible(where, scope, user))
  return select.execute()
}

/** Tasks of what is no VM, host or cluster, and of what is gone, are for who may see the whole. */
function isVisible(where: ExpressionBuilder<Schema, 'task'>, scope: Scope, user: string) {
  const isOther = where.and([
    where('target_id', 'not in', where.selectFrom('vm').select('vm.id')),
    where('target_id', 'not in', where.selectFrom('host').select('host.id')),
    where('target_id', 'not in', where.selectFrom('cluster').select('cluster.id')),
  ])
  return where.or([
    where('user_name', '=', user),
    where('target_id', 'in', scope.vmIds),
    where('target_id', 'in', scope.hostIds),
    where('target_id', 'in', scope.clusterIds),
    ...(scope.onRoot ? [isOther] : []),
  ])
}

/** The tasks that have something left to do, oldest first. */
export async function unfinishedTasks(database: Database): Promise<TaskRow[]> {
  return database
    .selectFrom('task')
    .selectAll()
    .where((where) => where.or([where('state', 'in', ['queued', 'running']), where('context', '<>', emptyContext)]))
    .orderBy('created_at')
    .orderBy('id')
    .execute()
}
