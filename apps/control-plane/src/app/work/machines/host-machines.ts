import type { Database } from '../context.ts'

/** What hosts run, by host ID. */
export interface HostMachines {
  /** How many VMs. */
  readonly running: ReadonlyMap<string, number>
  /** IDs of VMs that are not the host's to run. */
  readonly strays: ReadonlyMap<string, string[]>
}

/** Of one host, or of all. */
export async function hostMachines(database: Database, hostId?: string): Promise<HostMachines> {
  let count = database
    .selectFrom('machine')
    .select(({ fn }) => ['host_id', fn.countAll<number>().as('count')])
    .where('state', '!=', 'off')
    .groupBy('host_id')
  let strays = database.selectFrom('stray_machine').select(['host_id', 'vm_id']).orderBy('vm_id')
  if (hostId !== undefined) {
    count = count.where('host_id', '=', hostId)
    strays = strays.where('host_id', '=', hostId)
  }
  const running = new Map((await count.execute()).map((row) => [row.host_id, Number(row.count)]))
  const byHost = Map.groupBy(await strays.execute(), (row) => row.host_id)
  return {
    running,
    strays: new Map([...byHost].map(([id, rows]) => [id, rows.map(({ vm_id: vmId }) => vmId)])),
  }
}
