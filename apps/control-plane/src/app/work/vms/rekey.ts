import type { RekeyVm } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { PolicyRow } from '../../../database/policy-rows.ts'
import { requirePrivileges } from '../../access-control.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { distinctKeys, keyText } from '../../key-reference.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { currentWrappingKey } from '../keys/wrapping/wrapping-rows.ts'
import type { KeyPlan, VmChange } from '../tasks/task-context.ts'
import { paceOf, requireCapableHost, requireDeviceAlone, requireIdle } from './change-request.ts'
import { findHost, findProvider, findProviderFor } from './lookup.ts'
import { namedProvider } from './policy-keys.ts'
import { parseEncryption, type VmRecord } from './vm-store.ts'

/** VM Home or a disk that can be rekeyed, with the KEKs that it has. */
interface EncryptedPart {
  /** `null`: VM Home. */
  readonly disk: { readonly diskId: string; readonly number: number; readonly device: string | null } | null
  readonly keys: readonly KeyReference[]
  readonly policyId: string
}

/**
 * Works out how a VM gets another KEK, and checks all of it before anything happens. `null`: its KEK is the one that it
 * would get, a wrapping key. Throws `ControlPlaneError`.
 */
export async function planRekey(
  work: WorkContext,
  principal: Principal,
  vm: VmRecord,
  request: RekeyVm,
): Promise<{ change: Extract<VmChange, { kind: 'shallow-rekey' | 'deep-rekey' }>; key: KeyPlan } | null> {
  requirePrivileges(principal, ['Cryptographer.Recrypt'], vm.objectPath)
  refusePace(vm, request)
  const chosen = chosenParts(vm, request)
  const chosenKeys = distinctKeys(chosen.flatMap(({ keys }) => keys))
  const named = request.keyProvider ?? namedProvider(await policiesOf(work, chosen), undefined)
  const provider = await providerFor(work, vm, named, chosenKeys)
  const parts = request.depth === 'deep' ? chosen : await partsToMove(work, provider, chosen)
  if (parts.length === 0) return null
  const disks = parts.flatMap(({ disk }) => (disk === null ? [] : [disk]))
  if (request.depth === 'deep') requireDeviceAlone(disks)
  requireIdle(vm)
  const oldKeys = distinctKeys(parts.flatMap(({ keys }) => keys))
  const key: KeyPlan = { kind: 'new', provider }
  await requireCapableHost(work, await findHost(work.database, vm.row.host_id), vm.row.name, key, principal)
  const change = {
    kind: request.depth === 'deep' ? ('deep-rekey' as const) : ('shallow-rekey' as const),
    home: parts.some(({ disk }) => disk === null),
    disks: disks.map(({ diskId, number }) => ({ diskId, number })),
    oldKeys,
    pace: paceOf(request),
  }
  return { change, key }
}

/** A part that has the wrapping key which it would get, and no other, is as it shall be. */
async function partsToMove(
  work: WorkContext,
  provider: string,
  parts: readonly EncryptedPart[],
): Promise<readonly EncryptedPart[]> {
  const key = await currentWrappingKey(work.database, provider, work.clock())
  if (key === null) return parts
  return parts.filter(({ keys }) => keys.some((own) => keyText(own) !== keyText(key)))
}

/** A shallow rekey moves no data. */
function refusePace(vm: VmRecord, request: RekeyVm): void {
  if (request.depth === 'deep') return
  for (const field of ['verify', 'bytesPerSecondMax'] as const) {
    if (request[field] === undefined) continue
    const message = `${field}: a shallow rekey of VM ${vm.row.name} moves no data, so there is nothing to verify or to slow down: leave it out, or ask for a deep one`
    throw new ControlPlaneError('invalid', message, { field })
  }
}

/** All that is encrypted, or the parts that are named. */
function chosenParts(vm: VmRecord, { home, disks }: RekeyVm): EncryptedPart[] {
  const own = parseEncryption(vm.row.encryption)
  if (own === null) {
    throw new ControlPlaneError(
      'invalid',
      `VM ${vm.row.name} is plain, so it has no key that could be changed: encrypt it first («vm encrypt ${vm.row.name}»)`,
    )
  }
  const homePart: EncryptedPart = { disk: null, keys: own.keys, policyId: vm.row.policy_id }
  if (home === undefined && disks === undefined) return [homePart, ...vm.disks.flatMap(encryptedPart)]
  const chosen = [
    ...(home === true ? [homePart] : []),
    ...(disks ?? []).map((number, index) => diskPart(vm, disks ?? [], number, index)),
  ]
  if (chosen.length > 0) return chosen
  throw new ControlPlaneError(
    'invalid',
    `home: nothing of VM ${vm.row.name} is chosen: choose VM Home or disks, or leave both out for the whole VM`,
    {
      field: 'home',
    },
  )
}

/** Empty for a plain disk. */
function encryptedPart(disk: VmRecord['disks'][number]): EncryptedPart[] {
  const encryption = parseEncryption(disk.encryption)
  return encryption === null
    ? []
    : [
        {
          disk: { diskId: disk.id, number: disk.number, device: disk.device },
          keys: encryption.keys,
          policyId: disk.policy_id,
        },
      ]
}

function diskPart(vm: VmRecord, chosen: readonly number[], number: number, index: number): EncryptedPart {
  const field = `disks.${index}`
  const disk = vm.disks.find((candidate) => candidate.number === number)
  if (disk === undefined) {
    throw new ControlPlaneError(
      'not-found',
      `${field}: VM ${vm.row.name} has no disk ${number}: see «vm show ${vm.row.name}»`,
      { field },
    )
  }
  if (chosen.indexOf(number) !== index) {
    throw new ControlPlaneError(
      'invalid',
      `${field}: disk ${number} of VM ${vm.row.name} is named twice: name each once`,
      { field },
    )
  }
  const [part] = encryptedPart(disk)
  if (part !== undefined) return part
  throw new ControlPlaneError(
    'invalid',
    `${field}: disk ${number} of VM ${vm.row.name} is plain, so it has no key that could be changed: leave it out, or encrypt it first («vm encrypt ${vm.row.name} --disk ${number}»)`,
    {
      field,
    },
  )
}

/** The policies that the parts have. */
async function policiesOf(work: WorkContext, parts: readonly EncryptedPart[]): Promise<PolicyRow[]> {
  const ids = new Set(parts.map(({ policyId }) => policyId))
  const rows = await work.database.selectFrom('policy').selectAll().orderBy('name').execute()
  return rows.filter(({ id }) => ids.has(id))
}

/** The one that was named, by the request or by the policies, else the one that keeps the present KEK, else the default one. */
async function providerFor(
  work: WorkContext,
  vm: VmRecord,
  named: string | undefined,
  oldKeys: readonly KeyReference[],
): Promise<string> {
  if (named !== undefined) return findProvider(work.database, named)
  const present = oldKeys.at(0)?.provider
  const row =
    present === undefined
      ? undefined
      : await work.database.selectFrom('key_provider').select('name').where('name', '=', present).executeTakeFirst()
  return row?.name ?? (await findProviderFor(work.database, undefined, vm))
}
