import type { VmAuthority, VmFiles } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { homeFolderName } from '../home/configuration.ts'
import type { Datastores } from './datastores.ts'
import type { Folder } from './folder.ts'

/** What lies in a VM's folder, by path below it; for showing, nothing of it is trusted. Throws AgentError. */
export async function listFiles(datastores: Datastores, vm: VmAuthority): Promise<VmFiles> {
  await using datastore = await datastores.open(vm)
  await using folder = await datastore.folder(vm.folder)
  if (folder === null) throw new AgentError('file-missing', `${datastore.path}/${vm.folder}: is missing`)
  await using home = await folder.folder(homeFolderName)
  const files = [...(await filesOf(folder, '')), ...(home === null ? [] : await filesOf(home, `${homeFolderName}/`))]
  return { files: files.toSorted((one, other) => (one.path < other.path ? -1 : 1)) }
}

async function filesOf(folder: Folder, prefix: string): Promise<VmFiles['files']> {
  const files = await folder.files()
  return files.map(({ name, sizeBytes, allocatedBytes }) => ({ path: `${prefix}${name}`, sizeBytes, allocatedBytes }))
}
