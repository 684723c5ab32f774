import type { CoverageTotals } from '@cryptvisor/control-plane-api'
import { type Kysely, sql } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import type { Scope } from '../permissions/scope.ts'

/** How much of what is in `scope` is encrypted now; counted by the database. */
export async function coverageTotals(
  database: Kysely<Schema>,
  { everywhere, vmIds }: Pick<Scope, 'everywhere' | 'vmIds'>,
): Promise<CoverageTotals> {
  const vms = await database
    .selectFrom('vm')
    .select((select) => [select.fn.countAll<number>().as('all'), select.fn.count<number>('encryption').as('encrypted')])
    .$if(!everywhere, (select) => select.where('vm.id', 'in', vmIds))
    .executeTakeFirstOrThrow()
  const partial = await database
    .selectFrom('vm')
    .innerJoin('disk', 'disk.vm_id', 'vm.id')
    .select((select) => select.fn.count<number>('vm.id').distinct().as('count'))
    .where('vm.encryption', 'is not', null)
    .where('disk.encryption', 'is', null)
    .$if(!everywhere, (select) => select.where('vm.id', 'in', vmIds))
    .executeTakeFirstOrThrow()
  const disks = await database
    .selectFrom('disk')
    .select((select) => [
      select.fn.countAll<number>().as('all'),
      select.fn.count<number>('encryption').as('encrypted'),
      select.fn.coalesce(select.fn.sum<number>('virtual_bytes'), sql<number>`0`).as('bytes'),
    ])
    .$if(!everywhere, (select) => select.where('disk.vm_id', 'in', vmIds))
    .executeTakeFirstOrThrow()
  const encrypted = await database
    .selectFrom('disk')
    .select((select) => select.fn.coalesce(select.fn.sum<number>('virtual_bytes'), sql<number>`0`).as('bytes'))
    .where('encryption', 'is not', null)
    .$if(!everywhere, (select) => select.where('disk.vm_id', 'in', vmIds))
    .executeTakeFirstOrThrow()
  const encryptedVms = Number(vms.encrypted) - Number(partial.count)
  return {
    vms: Number(vms.all),
    encryptedVms,
    partialVms: Number(partial.count),
    plainVms: Number(vms.all) - Number(vms.encrypted),
    disks: Number(disks.all),
    encryptedDisks: Number(disks.encrypted),
    bytes: Number(disks.bytes),
    encryptedBytes: Number(encrypted.bytes),
    encryptedVmsPercent: percent(encryptedVms, Number(vms.all)),
    encryptedDisksPercent: percent(Number(disks.encrypted), Number(disks.all)),
    encryptedBytesPercent: percent(Number(encrypted.bytes), Number(disks.bytes)),
  }
}

/** Rounded down, so that 100 means all. */
function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.floor((1000 * part) / whole) / 10
}
