import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { type Flow, prepareEncrypted, succeeded } from './flow.ts'
import { hostFlows } from './host-flows.ts'
import { powerFlows } from './power-flows.ts'
import { admin, type World } from './world.ts'

async function prepareDetached(world: World): Promise<void> {
  await prepareEncrypted(world)
  await succeeded(world, await world.work.disks.detach(admin, 'web', 1, {}))
}

async function detachedLayer(world: World): Promise<string> {
  const [disk] = await world.work.disks.listDetached(admin)
  if (disk === undefined) throw new Error('no disk is detached')
  return disk.layer
}

async function prepareWrapped(world: World): Promise<void> {
  await world.wrapKeys()
  await prepareEncrypted(world)
}

const encryptionOf = async (world: World) => (await world.work.showVm('web')).encryption

const isThere = async (world: World, name: string) => (await world.work.listVms(admin)).some((vm) => vm.name === name)

/** All that the crash and failure tests drive. */
export const flows: readonly Flow[] = [
  ...hostFlows,
  ...powerFlows,
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
    happened: async (world) => (await world.work.disks.list('web'))[1]?.key?.keyId !== 'key-3',
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
    act: (world) => world.work.disks.add(admin, 'web', { sizeBytes: 512 }),
    happened: async (world) => (await world.work.disks.list('web')).length === 3,
    event: 'vm.disk-added',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'give an encrypted VM another policy that encrypts',
    prepare: async (world) => {
      await prepareEncrypted(world)
      await world.addPolicy('Gold', { encryption: 1 })
    },
    act: (world) => world.work.changePolicy(admin, 'web', { policy: 'Gold' }),
    happened: async (world) => (await world.work.showVm('web')).disks.every(({ policy }) => policy === 'Gold'),
    event: 'vm.policy.changed',
    failureEvent: null,
  },
  {
    name: 'detach an encrypted disk',
    prepare: prepareEncrypted,
    act: (world) => world.work.disks.detach(admin, 'web', 1, {}),
    happened: async (world) =>
      (await world.work.disks.list('web')).length === 1 && (await world.work.disks.listDetached(admin)).length === 1,
    event: 'vm.disk-detached',
    failureEvent: null,
  },
  {
    name: 'remove an encrypted disk',
    prepare: prepareEncrypted,
    act: (world) => world.work.disks.detach(admin, 'web', 1, { remove: true }),
    happened: async (world) =>
      (await world.work.disks.list('web')).length === 1 && (await world.work.disks.listDetached(admin)).length === 0,
    event: 'vm.disk-removed',
    failureEvent: null,
  },
  {
    name: 'attach an encrypted disk',
    prepare: prepareDetached,
    act: async (world) => world.work.disks.attach(admin, 'web', { layer: await detachedLayer(world) }),
    happened: async (world) =>
      (await world.work.disks.list('web')).length === 2 && (await world.work.disks.listDetached(admin)).length === 0,
    event: 'vm.disk-attached',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'remove a detached disk',
    prepare: prepareDetached,
    act: async (world) => world.work.disks.removeDetached(admin, await detachedLayer(world)),
    happened: async (world) =>
      (await world.work.disks.listDetached(admin)).length === 0 && world.datastore.removedLayers.size === 1,
    event: 'vm.disk-removed',
    failureEvent: null,
  },
  {
    name: 'apply changed policies',
    prepare: async (world) => {
      await world.addPolicy('Gold', { encryption: 1 })
      await world.addPolicy('Plain', {})
      await world.plainVm()
      await succeeded(world, await world.work.changePolicy(admin, 'web', { policy: 'Gold' }))
      await succeeded(world, await world.work.changePolicy(admin, 'web', { disks: [{ number: 1, policy: 'Plain' }] }))
      // Disk 1 is to be encrypted now, and what is encrypted to have a key of another provider.
      await world.changePolicy('Gold', { key_provider: 'spare' })
      await world.changePolicy('Plain', { encryption: 1 })
    },
    act: async (world) => {
      const { task } = await world.work.applyPolicies(admin, { vm: 'web' })
      if (task === null) throw new Error('there is something to do')
      return task
    },
    happened: async (world) => (await world.work.compliance(admin, { vm: 'web' }))[0]?.state === 'compliant',
    event: 'policy.applied',
    failureEvent: null,
  },
  {
    name: 'encrypt a VM with a wrapping key that another one has',
    prepare: async (world) => {
      await prepareWrapped(world)
      await world.plainVm('next')
    },
    act: (world) => world.work.changePolicy(admin, 'next', { policy: encryptionPolicy }),
    happened: async (world) => (await world.work.showVm('next')).encryption === 'encrypted',
    event: 'vm.crypto.encrypted',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'make an encrypted VM with a wrapping key that nothing has',
    prepare: (world) => world.wrapKeys(),
    act: (world) => world.work.createVm(admin, { name: 'new', host: 'host-a', policy: encryptionPolicy }),
    happened: (world) => isThere(world, 'new'),
    event: 'vm.created',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'rekey a VM to the wrapping key of today',
    prepare: async (world) => {
      await prepareWrapped(world)
      await world.work.rotateWrappingKey(admin, 'vault')
    },
    act: (world) => world.work.rekeyVm(admin, 'web', { depth: 'shallow' }),
    happened: async (world) => (await world.work.showVm('web')).home.key?.keyId === (await world.wrappingKey()),
    event: 'vm.crypto.rekeyed',
    failureEvent: 'vm.crypto.failed',
  },
  {
    name: 'decrypt the last VM with a wrapping key',
    prepare: prepareWrapped,
    act: (world) => world.work.changePolicy(admin, 'web', { policy: plainPolicy }),
    happened: async (world) => (await encryptionOf(world)) === 'plain',
    event: 'vm.crypto.decrypted',
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
