import { type EventType, encryptionPolicy, plainPolicy, type Task } from '@cryptvisor/control-plane-api'
import { admin, type World } from './world.ts'

/** One thing that a user asks for, from a state in which it can be asked for. */
export interface Flow {
  readonly name: string
  prepare(world: World): Promise<void>
  act(world: World): Promise<Task>
  /** Whether it happened, in full; `false`: nothing of it did. */
  happened(world: World): Promise<boolean>
  /** The event that tells of it, and the one that tells of its failure. */
  readonly event: EventType
  readonly failureEvent: EventType | null
}

async function prepareEncrypted(world: World): Promise<void> {
  await world.plainVm()
  await succeeded(world, await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
}

async function succeeded(world: World, task: Task): Promise<void> {
  const { state, error } = await world.ended(task)
  if (state !== 'success') throw new Error(error?.message ?? state)
}

const encryptionOf = async (world: World) => (await world.work.showVm('web')).encryption

const isThere = async (world: World, name: string) => (await world.work.listVms(admin)).some((vm) => vm.name === name)

/** All that the crash and failure tests drive. */
export const flows: readonly Flow[] = [
  {
    name: 'encrypt a VM',
    prepare: (world) => world.plainVm(),
    act: (world) => world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }),
    happened: async (world) => (await encryptionOf(world)) === 'encrypted',
    event: 'vm.crypto.encrypted',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'decrypt a VM',
    prepare: prepareEncrypted,
    act: (world) => world.work.changePolicy(admin, 'web', { policy: plainPolicy }),
    happened: async (world) => (await encryptionOf(world)) === 'plain',
    event: 'vm.crypto.decrypted',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'make an encrypted VM with a disk',
    prepare: async () => undefined,
    act: (world) =>
      world.work.createVm(admin, {
        name: 'new',
        host: 'host-a',
        policy: encryptionPolicy,
        disks: [{ sizeBytes: 512 }],
      }),
    happened: (world) => isThere(world, 'new'),
    event: 'vm.created',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'rekey a VM shallowly',
    prepare: prepareEncrypted,
    act: (world) => world.work.rekeyVm(admin, 'web', { depth: 'shallow' }),
    happened: async (world) => (await world.work.showVm('web')).home.key?.keyId !== 'key-3',
    event: 'vm.crypto.rekeyed',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'rekey a disk deeply',
    prepare: prepareEncrypted,
    act: (world) => world.work.rekeyVm(admin, 'web', { depth: 'deep', disks: [1] }),
    happened: async (world) => (await world.work.listDisks('web'))[1]?.key?.keyId !== 'key-3',
    event: 'vm.crypto.rekeyed',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'clone an encrypted VM with new keys',
    prepare: prepareEncrypted,
    act: (world) => world.work.cloneVm(admin, 'web', { name: 'copy' }),
    happened: (world) => isThere(world, 'copy'),
    event: 'vm.created',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'clone an encrypted VM with the same keys',
    prepare: prepareEncrypted,
    act: (world) => world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }),
    happened: (world) => isThere(world, 'copy'),
    event: 'vm.created',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'add an encrypted disk',
    prepare: prepareEncrypted,
    act: (world) => world.work.addDisk(admin, 'web', { sizeBytes: 512 }),
    happened: async (world) => (await world.work.listDisks('web')).length === 3,
    event: 'vm.disk-added',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'delete an encrypted VM',
    prepare: prepareEncrypted,
    act: (world) => world.work.deleteVm(admin, 'web'),
    happened: async (world) => !(await isThere(world, 'web')),
    event: 'vm.deleted',
    failureEvent: null,
  },
]
