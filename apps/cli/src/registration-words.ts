import type { DatastoreFolder, Reconciliation, VmComparison } from '@cryptvisor/control-plane-api'
import { keyName } from './key-name.ts'
import type { Paint } from './paint.ts'
import { type Cell, sheet, table } from './table.ts'

/** The folders of a datastore that hold VMs. */
export function folderTable(folders: readonly DatastoreFolder[], paint: Paint): string {
  return table(
    ['FOLDER', 'VM', 'ENCRYPTED', 'DISKS', 'GENERATION', 'REGISTERED AS'],
    folders.map(({ folder, name, encrypted, diskCount, generation, problem, registeredAs }) => [
      folder,
      name ?? paint('red', problem ?? 'cannot be read'),
      encrypted === null ? null : encrypted ? 'yes' : 'no',
      diskCount,
      generation,
      registeredAs ?? paint('yellow', 'not registered'),
    ]),
  )
}

/** One VM: what is said here, and there. */
export function comparisonSheet(compared: VmComparison, paint: Paint): string {
  return sheet([
    ['VM', compared.vm],
    ['place', `folder ${compared.folder} of ${compared.datastore}`],
    ['state', stateCell(compared, paint)],
    ['generation', `${compared.generation} here, ${compared.foundGeneration ?? '-'} on the datastore`],
    ...compared.differences.map((text) => ['difference', text] as const),
    ...compared.foundKeys.map((key) => ['needs key', keyName(key)] as const),
    ...(compared.advice === null ? [] : [['next', compared.advice] as const]),
  ])
}

/** All VMs, and what else lies on the datastores. */
export function reconciliationSheet({ vms, unregistered, unseen }: Reconciliation, paint: Paint): string {
  const parts = [
    table(
      ['VM', 'STATE', 'HERE', 'THERE', 'NEXT'],
      vms.map((each) => [each.vm, stateCell(each, paint), each.generation, each.foundGeneration, each.advice]),
    ),
  ]
  if (unregistered.length > 0) {
    const rows = unregistered.map(({ datastore, folder, name, encrypted, problem }) => [
      datastore,
      folder,
      name ?? paint('red', problem ?? 'cannot be read'),
      encrypted === null ? null : encrypted ? 'yes' : 'no',
      `vm register ${datastore} ${folder}`,
    ])
    parts.push(`not in the inventory\n${table(['DATASTORE', 'FOLDER', 'VM', 'ENCRYPTED', 'NEXT'], rows)}`)
  }
  if (unseen.length > 0) parts.push(`no connected host sees: ${unseen.join(', ')}\n`)
  return parts.join('\n')
}

function stateCell({ state }: VmComparison, paint: Paint): Cell {
  if (state === 'same') return paint('green', state)
  return paint(state === 'newer' || state === 'unknown' ? 'yellow' : 'red', state)
}
