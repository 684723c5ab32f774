import type { KeyReference, LockState, VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError, type AgentErrorCode } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { openDisk } from '../disk/open-disk.ts'
import { plainImageOf } from '../disk/plain-image.ts'
import { openHome } from '../home/open-home.ts'
import type { OperationHost } from './host.ts'
import { KeyLoans } from './key-loans.ts'
import { agentErrorOf } from './operation-error.ts'
import type { KeyNeed } from './plan.ts'
import { agreedDocument } from './vm-site.ts'

/**
 * Whether this host can open a VM with the keys that it holds: opens every key record, VM Home's and each disk's. Changes
 * nothing and takes no lock. What is amiss is the answer; throws AgentError for a datastore that is refused or missing.
 */
export async function lockStateOf(host: OperationHost, vm: VmAuthority): Promise<LockState> {
  await using datastore = await host.datastores.open(vm)
  const needs = keyNeedsOf(vm)
  const lacking = needs.filter(({ anyOf }) => !anyOf.some((key) => host.keys.has(key)))
  if (lacking.length > 0) {
    const parts = lacking.map(({ part }) => part).join(', ')
    return locked('key-not-held', `this host does not hold the keys of ${parts}`, distinctKeys(lacking))
  }
  try {
    await using folder = await datastore.folder(vm.folder)
    if (folder === null) throw new AgentError('file-missing', `${datastore.path}/${vm.folder}: is missing`)
    using keys = new KeyLoans(host.keys, needs, host.cryptoSupported)
    await openAll(folder, vm, keys)
    return { state: 'unlocked', reason: null }
  } catch (error) {
    const { code, message } = agentErrorOf(error)
    const isRefused = code === 'key-not-held' && holdsAll(host, needs)
    return locked(isRefused ? 'record-refused' : (reasonCodes[code] ?? 'file-damaged'), message, [])
  }
}

/** Whether no key is missing: then a record that names another one is not the one that the control plane knows. */
function holdsAll({ keys }: OperationHost, needs: readonly KeyNeed[]): boolean {
  return needs.every(({ anyOf }) => anyOf.every((key) => keys.has(key)))
}

type ReasonCode = NonNullable<LockState['reason']>['code']

/** What is amiss, by the error that tells it; all else is damage. */
const reasonCodes: Partial<Record<AgentErrorCode, ReasonCode>> = {
  'key-not-held': 'key-not-held',
  'file-missing': 'file-missing',
  refused: 'record-refused',
  'datastore-mismatch': 'record-refused',
}

async function openAll(folder: Folder, vm: VmAuthority, keys: KeyLoans): Promise<void> {
  const document = await agreedDocument(folder, vm)
  await openHome(folder, vm, document, keys.of(vm.encryption?.keys ?? []))
  for (const disk of vm.disks) {
    if (disk.encryption === null) {
      await plainImageOf(folder, disk)
    } else {
      const layer = await openDisk(folder, disk, keys.of(disk.encryption.keys))
      layer[Symbol.dispose]()
    }
  }
}

/** The KEKs that opening all of a VM needs. */
export function keyNeedsOf({ encryption, disks }: VmAuthority): KeyNeed[] {
  return [
    ...(encryption === null ? [] : [{ part: 'VM Home', anyOf: encryption.keys }]),
    ...disks.flatMap((disk) =>
      disk.encryption === null ? [] : [{ part: `disk ${disk.number}`, anyOf: disk.encryption.keys }],
    ),
  ]
}

function distinctKeys(needs: readonly KeyNeed[]): KeyReference[] {
  const keys = needs.flatMap(({ anyOf }) => anyOf)
  return keys.filter(
    ({ provider, keyId }, index) =>
      keys.findIndex((other) => other.provider === provider && other.keyId === keyId) === index,
  )
}

function locked(code: ReasonCode, text: string, missingKeys: KeyReference[]): LockState {
  return { state: 'locked', reason: { code, text, missingKeys } }
}
