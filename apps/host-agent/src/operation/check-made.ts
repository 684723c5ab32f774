import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import type { VmDocument } from '../datastore/vm-document.ts'
import { openDisk } from '../disk/open-disk.ts'
import { plainImageOf } from '../disk/plain-image.ts'
import { openHome } from '../home/open-home.ts'
import type { KeyLoans } from './key-loans.ts'
import { changedDisks, type Plan } from './plan.ts'

/**
 * Makes sure that all that an operation made is there and opens, before what it replaced is removed. Throws what opening
 * throws, or AgentError `datastore-mismatch`.
 */
export async function checkMade(
  folder: Folder,
  { vm, rewritesHome }: Plan,
  next: VmAuthority,
  document: VmDocument,
  keys: KeyLoans,
): Promise<void> {
  for (const { after } of changedDisks(vm, next)) {
    if (after.encryption === null) {
      const { sizeBytes } = await plainImageOf(folder, after)
      if (sizeBytes !== after.payloadBytes) throw grown(after.layerId)
    } else {
      using layer = await openDisk(folder, after, keys.of(after.encryption.keys))
      if (layer.image.sizeBytes !== after.payloadBytes) throw grown(after.layerId)
    }
  }
  if (rewritesHome) await openHome(folder, next, document, keys.of(next.encryption?.keys ?? []))
}

function grown(layerId: string): AgentError {
  return new AgentError('datastore-mismatch', `layer ${layerId}: its size is not the one that vm.json says`)
}
