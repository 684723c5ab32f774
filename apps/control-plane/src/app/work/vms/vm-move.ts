import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { FolderTree } from '../../inventory/folder-tree.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { findVm } from './lookup.ts'

/**
 * Puts a VM into another folder of the inventory; nothing happens to its files. Throws `not-found`, and `no-privilege` without
 * `VirtualMachine.Inventory.Move` where it goes: whoever has permissions there has them on the VM from then on.
 */
export async function moveVm(work: WorkContext, principal: Principal, nameOrId: string, folder: string): Promise<void> {
  await work.events.transaction(async (transaction, record) => {
    const vm = await findVm(transaction, nameOrId)
    const tree = await FolderTree.read(transaction)
    const target = tree.find(folder, 'folder')
    const path = tree.pathOf(target?.id ?? null)
    requirePrivileges(principal, contentRules.moveVmInto.privileges, path)
    if (vm.row.folder_id === (target?.id ?? null)) return
    await transaction
      .updateTable('vm')
      .set({ folder_id: target?.id ?? null })
      .where('id', '=', vm.row.id)
      .execute()
    const text = `VM ${vm.row.name} was moved from folder ${vm.folderName} to ${path[0].name} by ${principal.name}`
    await record({ type: 'vm.moved', vm: vm.row.name, host: vm.hostName, text, user: principal.name })
  })
}
