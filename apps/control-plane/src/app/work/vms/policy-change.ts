import type { ChangePolicy, Privilege } from '@cryptvisor/control-plane-api'
import type { PolicyRow } from '../../../database/policy-rows.ts'
import { requirePrivileges } from '../../access-control.ts'
import { contentRules } from '../../content-rules.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { KeyPlan, VmChange } from '../tasks/task-context.ts'
import { paceOf, requireCapableHost, requireConnection, requireDeviceAlone, requireIdle } from './change-request.ts'
import { findHost, findPolicy, findProviderFor } from './lookup.ts'
import { checkThin, checkVerify, existingKey, keyForDisk, namedProvider } from './policy-keys.ts'
import type { VmRecord } from './vm-store.ts'

/** What a change of policies comes to. */
export interface PolicyChange {
  readonly change: Extract<VmChange, { kind: 'encrypt' | 'decrypt' | 'relabel' }>
  readonly key: KeyPlan
}

/** VM Home or a disk, as it is and as it shall be. */
interface Part {
  readonly name: string
  /** `null`: VM Home. */
  readonly disk: { readonly id: string; readonly number: number; readonly device: string | null } | null
  readonly encrypted: boolean
  readonly policy: string
  /** `null`: it stays as it is. */
  readonly target: PolicyRow | null
}

/**
 * Works out what a change of storage policies means for a VM, and checks all of it before anything happens. `null`: it
 * is as it shall be. Throws `ControlPlaneError`, which names the disk and the rule.
 */
export async function planPolicyChange(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  request: ChangePolicy,
): Promise<PolicyChange | null> {
  const parts = await partsOf(work, vm, request)
  const changing = parts.filter((part) => part.target !== null && isEncrypting(part.target) !== part.encrypted)
  const relabelled = parts.filter(isRelabelled)
  const direction = directionOf(changing)
  requirePrivileges(principal, privilegesFor(direction), vm.objectPath)
  if (request.keyProvider !== undefined && direction !== 'encrypt') {
    throw new ControlPlaneError('invalid', 'keyProvider: nothing is encrypted here that a key would be asked for', {
      field: 'keyProvider',
    })
  }
  if (request.thin !== undefined && direction !== 'encrypt') {
    throw new ControlPlaneError('invalid', 'thin: nothing is encrypted here that could be made thin', { field: 'thin' })
  }
  if (direction === null) return relabelled.length === 0 ? null : planRelabelling(work, vm, relabelled)
  refuseBoth(changing, relabelled, direction)
  checkOrder(parts)
  if (request.thin === true) refuseThinDevices(changing)
  requireDeviceAlone(changing.flatMap(({ disk }) => (disk === null ? [] : [disk])))
  requireIdle(vm)
  const targets = changing.flatMap(({ target }) => (target === null ? [] : [target]))
  checkVerify(targets, request)
  checkThin(targets, request.thin)
  const change: Extract<VmChange, { kind: 'encrypt' | 'decrypt' }> = {
    kind: direction,
    home: homeTarget(changing),
    disks: changing.flatMap(({ disk, target }) => {
      if (disk === null || target === null) return []
      const thin = direction === 'encrypt' && disk.device === null && (request.thin ?? target.thin === 1)
      return [{ diskId: disk.id, number: disk.number, policy: target.name, ...(thin ? { thin } : {}) }]
    }),
    pace: paceOf(request),
  }
  const key =
    direction === 'encrypt'
      ? await keyFor(work, vm, change.home !== null, namedProvider(targets, request.keyProvider))
      : existingKey(vm)
  await requireCapableHost(work, await findHost(work.database, vm.row.host_id), vm.row.name, key, principal)
  return { change, key }
}

const isEncrypting = (policy: PolicyRow) => policy.encryption === 1

function privilegesFor(direction: 'encrypt' | 'decrypt' | null): readonly Privilege[] {
  switch (direction) {
    case 'encrypt':
      return ['StorageProfile.Apply', ...contentRules.encrypt.privileges]
    case 'decrypt':
      return ['StorageProfile.Apply', ...contentRules.decrypt.privileges]
    case null:
      return ['StorageProfile.Apply']
  }
}

async function partsOf(work: WorkContext, vm: VmRecord, request: ChangePolicy): Promise<Part[]> {
  const { policy, home, disks } = request
  if (policy !== undefined && (home !== undefined || disks !== undefined)) {
    throw new ControlPlaneError('invalid', 'policy: means the whole VM, so home and disks cannot be given beside it', {
      field: 'policy',
    })
  }
  if (policy === undefined && home === undefined && (disks === undefined || disks.length === 0)) {
    throw new ControlPlaneError('invalid', 'policy: give one for the whole VM, or home, or disks', { field: 'policy' })
  }
  const whole = policy === undefined ? null : await findPolicy(work.database, policy, 'policy')
  const homePolicy = home === undefined ? whole : await findPolicy(work.database, home, 'home')
  const chosen = new Map<number, PolicyRow>()
  for (const [index, disk] of (disks ?? []).entries()) {
    const field = `disks.${index}`
    if (!vm.disks.some(({ number }) => number === disk.number)) {
      throw new ControlPlaneError('not-found', `${field}: VM ${vm.row.name} has no disk ${disk.number}`, { field })
    }
    if (chosen.has(disk.number)) {
      throw new ControlPlaneError('invalid', `${field}: disk ${disk.number} is named twice`, { field })
    }
    chosen.set(disk.number, await findPolicy(work.database, disk.policy, `${field}.policy`))
  }
  return [
    {
      name: 'VM Home',
      disk: null,
      encrypted: vm.row.encryption !== null,
      policy: vm.policy,
      target: homePolicy,
    },
    ...vm.disks.map((disk) => ({
      name: `disk ${disk.number}`,
      disk: { id: disk.id, number: disk.number, device: disk.device },
      encrypted: disk.encryption !== null,
      policy: disk.policy,
      target: chosen.get(disk.number) ?? whole,
    })),
  ]
}

/** Which way the parts go; `null`: none changes. Throws when some go one way and some the other. */
function directionOf(changing: readonly Part[]): 'encrypt' | 'decrypt' | null {
  const [first] = changing
  if (first === undefined) return null
  if (changing.some((part) => part.encrypted !== first.encrypted)) {
    const encrypted = changing.filter((part) => !part.encrypted).map((part) => part.name)
    const decrypted = changing.filter((part) => part.encrypted).map((part) => part.name)
    throw new ControlPlaneError(
      'invalid',
      `one request either encrypts or decrypts: this one would encrypt ${encrypted.join(', ')} and decrypt ${decrypted.join(', ')}. Send two, one after the other`,
    )
  }
  return first.encrypted ? 'decrypt' : 'encrypt'
}

/** Whether the part gets another policy and stays encrypted, or plain, as it is. */
function isRelabelled({ policy, target, encrypted }: Part): boolean {
  return target !== null && target.name !== policy && isEncrypting(target) === encrypted
}

/** Gives parts other policies, and moves no data: what the new ones say beyond that is a matter of compliance. */
function planRelabelling(work: WorkContext, vm: VmRecord, parts: readonly Part[]): PolicyChange {
  requireIdle(vm)
  requireConnection(work, { id: vm.row.host_id, name: vm.hostName })
  const home = homeTarget(parts)
  const disks = parts.flatMap(({ disk, target }) =>
    disk === null || target === null ? [] : [{ diskId: disk.id, number: disk.number, policy: target.name }],
  )
  return { change: { kind: 'relabel', home, disks }, key: { kind: 'none' } }
}

function refuseBoth(changing: readonly Part[], relabelled: readonly Part[], direction: 'encrypt' | 'decrypt'): void {
  if (relabelled.length === 0) return
  const names = (parts: readonly Part[]) => parts.map(({ name }) => name).join(', ')
  const already = direction === 'encrypt' ? 'encrypted' : 'plain'
  throw new ControlPlaneError(
    'invalid',
    `one request either ${direction}s parts or gives parts another policy that stay as they are: this one would ${direction} ${names(changing)}, and ${names(relabelled)} (${already} already) would get another policy. Send two, naming the parts`,
  )
}

function refuseThinDevices(changing: readonly Part[]): void {
  const device = changing.find(({ disk }) => disk !== null && disk.device !== null)
  if (device === undefined) return
  const message = `thin: ${device.name} lies on a block device and is encrypted in place: it cannot become thin`
  throw new ControlPlaneError('invalid', message, { field: 'thin' })
}

/** DESIGN.md, section 4: an encrypted disk needs an encrypted VM Home, before and after. */
function checkOrder(parts: readonly Part[]): void {
  const after = parts.map((part) => ({
    ...part,
    after: part.target === null ? part.encrypted : isEncrypting(part.target),
  }))
  const home = after.find((part) => part.disk === null)
  if (home === undefined || home.after) return
  const disks = after.filter((part) => part.disk !== null && part.after).map((part) => part.name)
  if (disks.length === 0) return
  throw new ControlPlaneError(
    'encryption-order',
    home.encrypted
      ? `VM Home cannot be decrypted while a disk is encrypted, and ${disks.join(', ')} would be: decrypt them too, or first`
      : `a disk cannot be encrypted while VM Home is plain, and ${disks.join(', ')} would be: encrypt VM Home too, or first`,
  )
}

function homeTarget(changing: readonly Part[]): { policy: string } | null {
  const home = changing.find((part) => part.disk === null)
  return home?.target == null ? null : { policy: home.target.name }
}

/** A plain VM gets a KEK of its own; a disk of an encrypted VM the VM's, unless another provider is to make one. */
async function keyFor(
  work: WorkContext,
  vm: VmRecord,
  withHome: boolean,
  provider: string | undefined,
): Promise<KeyPlan> {
  if (!withHome) return keyForDisk(work.database, vm, provider)
  return { kind: 'new', provider: await findProviderFor(work.database, provider, vm) }
}
