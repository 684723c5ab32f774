import type { Database } from '../context.ts'

/** What of a VM is needed to judge a status. */
export interface ReportedVm {
  readonly id: string
  readonly name: string
  readonly host_id: string
  /** The type of the task that has it; `null`: none has. */
  readonly taskType: string | null
}

/** Those of these VMs that the inventory has, by ID. */
export async function reportedVms(transaction: Database, ids: readonly string[]): Promise<Map<string, ReportedVm>> {
  if (ids.length === 0) return new Map()
  const rows = await transaction
    .selectFrom('vm')
    .leftJoin('task', 'task.id', 'vm.task_id')
    .select(['vm.id', 'vm.name', 'vm.host_id', 'task.type as taskType'])
    .where('vm.id', 'in', ids)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}
