import { randomUUID } from 'node:crypto'
import type { FileSystemOptions, SeededRandom } from '@cryptvisor/testkit'
import { backupDiskHeader } from '../operation/backup-header.ts'
import type { Scenario } from './crash-simulation.ts'
import { datastorePath, simulatedHost } from './simulated-host.ts'
import { emptyQcow2, foreignVolume, markedDetails, rawContent, SimulatedVm } from './simulated-vm.ts'
import { importRequest } from './test-host.ts'
import { decryptAll, encryptAll, newVm } from './test-vm.ts'

const virtualBytes = 1_048_576
const policy = 'VM Encryption Policy'

/** `fileSystem`: what the datastore's is like. */
type Prepare = (name: string, random: SeededRandom, fileSystem: FileSystemOptions) => Promise<Scenario>

/** Every kind of operation, each ready to be run on a disk of its own. */
export const scenarios = {
  'create a plain VM': async (name, _, fileSystem) => {
    const made = new SimulatedVm(fileSystem)
    return made.scenario(name, { kind: 'create-vm', vm: made.vm, details: markedDetails, key: null })
  },
  'create an encrypted VM': async (name, _, fileSystem) => {
    const made = new SimulatedVm(fileSystem)
    return made.scenario(name, { kind: 'create-vm', vm: made.vm, details: markedDetails, key: made.key })
  },
  'import a disk': async (name, random, fileSystem) => {
    const made = await SimulatedVm.plain(random, fileSystem)
    const content = rawContent(random, 2)
    const request = importRequest(made.vm, content.length)
    made.contents.set(request.diskId, content)
    return made.scenario(name, request, content)
  },
  'import a LUKS volume': async (name, random, fileSystem) =>
    await volume(name, random, await SimulatedVm.encrypted(random, fileSystem), 'import', true),
  'adopt a LUKS volume': async (name, random, fileSystem) =>
    await volume(name, random, await SimulatedVm.encrypted(random, fileSystem), 'adopt', true),
  'adopt a LUKS volume without room for a key record': async (name, random, fileSystem) =>
    await volume(name, random, await SimulatedVm.encrypted(random, fileSystem), 'adopt', false),
  'add an encrypted disk': async (name, random, fileSystem) => {
    const made = await SimulatedVm.encrypted(random, fileSystem)
    const diskId = randomUUID()
    made.contents.set(diskId, emptyQcow2(virtualBytes))
    const disk = { diskId, number: 2, format: 'qcow2', virtualBytes, policy } as const
    return made.scenario(name, { kind: 'add-disk', vm: made.vm, ...disk, key: made.key })
  },
  encrypt: async (name, random, fileSystem) => {
    const made = await SimulatedVm.plain(random, fileSystem)
    return made.scenario(name, encryptAll(made.vm, made.key))
  },
  'encrypt thin': async (name, random, fileSystem) => {
    const made = await SimulatedVm.plain(random, fileSystem)
    const { key, vm } = made
    const disks = vm.disks.map(({ diskId }) => ({ diskId, key, policy, thin: true }))
    return made.scenario(name, { kind: 'encrypt', vm, home: { key, policy }, disks })
  },
  decrypt: async (name, random, fileSystem) => {
    const made = await SimulatedVm.encrypted(random, fileSystem)
    return made.scenario(name, decryptAll(made.vm))
  },
  'shallow rekey': async (name, random, fileSystem) => {
    const made = await SimulatedVm.encrypted(random, fileSystem)
    return made.scenario(name, { kind: 'shallow-rekey', vm: made.vm, ...rekeyed(made) })
  },
  'deep rekey': async (name, random, fileSystem) => {
    const made = await SimulatedVm.encrypted(random, fileSystem)
    return made.scenario(name, { kind: 'deep-rekey', vm: made.vm, ...rekeyed(made) })
  },
  'clone with new keys': async (name, random, fileSystem) =>
    clone(name, await SimulatedVm.encrypted(random, fileSystem), 'new'),
  'clone with the same DEKs': async (name, random, fileSystem) =>
    clone(name, await SimulatedVm.encrypted(random, fileSystem), 'same'),
  'clone a plain VM encrypted': async (name, random, fileSystem) =>
    clone(name, await SimulatedVm.plain(random, fileSystem), 'new'),
  'restore a header': async (name, random, fileSystem) => {
    const made = await SimulatedVm.encrypted(random, fileSystem)
    const { vm, storage, keys } = made
    const diskId = vm.disks[0]?.diskId ?? ''
    const backup = await backupDiskHeader(simulatedHost(storage, keys), { vm, diskId })
    return made.scenario(name, { kind: 'restore-header', vm, diskId, contentBytes: backup.length }, backup)
  },
  'change policies': async (name, random, fileSystem) => {
    const made = await SimulatedVm.encrypted(random, fileSystem)
    const { vm } = made
    const disks = vm.disks.map(({ diskId }) => ({ diskId, policy: 'Gold' }))
    return made.scenario(name, { kind: 'change-policies', vm, home: { policy: 'Gold' }, disks })
  },
  'detach a disk': async (name, random, fileSystem) =>
    detach(name, await SimulatedVm.encrypted(random, fileSystem), false),
  'remove a disk': async (name, random, fileSystem) =>
    detach(name, await SimulatedVm.encrypted(random, fileSystem), true),
  'attach a disk that was detached': async (name, random, fileSystem) =>
    await attach(name, await SimulatedVm.encrypted(random, fileSystem), null),
  'attach a disk out of another folder': async (name, random, fileSystem) =>
    await attach(name, await SimulatedVm.encrypted(random, fileSystem), 'vm-gone'),
  'delete a VM': async (name, random, fileSystem) => {
    const made = await SimulatedVm.encrypted(random, fileSystem)
    return made.scenario(name, { kind: 'delete-vm', vm: made.vm })
  },
} satisfies Readonly<Record<string, Prepare>>

function detach(name: string, made: SimulatedVm, remove: boolean): Scenario {
  const { vm } = made
  const [, disk] = vm.disks
  if (disk === undefined) throw new Error('the VM has two disks')
  const request = { kind: 'detach-disk', vm, diskId: disk.diskId, remove } as const
  return made.scenario(name, request, null, remove ? {} : { after: { folder: vm.folder, disk } })
}

/** The VM's second disk was detached; with `folder`, out of another VM whose layer lies there. */
async function attach(name: string, made: SimulatedVm, folder: string | null): Promise<Scenario> {
  const loose = await made.detached(folder)
  const disk = { ...loose.disk, number: 5, policy: 'Gold' }
  return made.scenario(name, { kind: 'attach-disk', vm: made.vm, disk, folder }, null, { before: loose })
}

/** All of a VM under another KEK. */
function rekeyed({ vm, otherKey: key }: SimulatedVm) {
  return { home: { key }, disks: vm.disks.map(({ diskId }) => ({ diskId, key })) }
}

async function volume(
  name: string,
  random: SeededRandom,
  made: SimulatedVm,
  mode: 'import' | 'adopt',
  hasRoom: boolean,
): Promise<Scenario> {
  const { vm, key, contents } = made
  const content = rawContent(random, 2)
  const bytes = await foreignVolume(content, hasRoom)
  const diskId = randomUUID()
  contents.set(diskId, content)
  const disk = { diskId, number: 2, mode, format: 'raw', contentBytes: bytes.length, policy, key } as const
  return made.scenario(name, { kind: 'import-volume', vm, ...disk }, bytes)
}

function clone(name: string, made: SimulatedVm, dek: 'same' | 'new'): Scenario {
  const { vm: source, otherKey: key, contents } = made
  const disks = source.disks.map(({ diskId: sourceDiskId }) => {
    const diskId = randomUUID()
    const content = contents.get(sourceDiskId)
    if (content !== undefined) contents.set(diskId, content)
    return { sourceDiskId, diskId, key, dek }
  })
  return made.scenario(name, { kind: 'clone-vm', vm: newVm(datastorePath, 'vm-2'), source, home: { key }, disks })
}
