import type { DiskAuthority, VmAuthority, VmDetails } from '@cryptvisor/host-agent-api'
import { passphraseOf } from '@cryptvisor/luks'
import { AgentError } from '../agent-error.ts'
import type { Place } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { openDiskRecord } from '../disk/disk-record.ts'
import { layerPlace } from '../disk/layer-place.ts'
import { plainImageOf } from '../disk/plain-image.ts'
import { openHome } from '../home/open-home.ts'
import { errnoOf } from '../io-error.ts'
import type { OperationHost } from '../operation/host.ts'
import { KeyLoans } from '../operation/key-loans.ts'
import { keyNeedsOf } from '../operation/lock-state.ts'
import { refuseUnfinished } from '../operation/refuse-unfinished.ts'
import { agreedDocument, requireVmSite } from '../operation/vm-site.ts'
import type { RunDisk } from './disk-nodes.ts'

/** What opening a VM takes of its host. */
export type RunHost = Pick<OperationHost, 'datastores' | 'keys' | 'cryptoSupported'>

/** A VM, locked and opened, to be given to a QEMU. Disposing of it wipes the passphrases, and gives the lock back unless QEMU has it. */
export interface RunSite extends AsyncDisposable {
  readonly details: VmDetails
  /** By number. */
  readonly disks: readonly RunDisk[]
  /** The open file that has `vm.lock`; the lock lasts as long as any process has it open. */
  readonly lockDescriptor: number
}

/**
 * Locks a VM and opens all of it, as far as it agrees with the control plane. Throws AgentError, `vm-busy` and `key-not-held` among others;
 * KeyRecordError, LuksError, DataPathError, SealedFileError.
 */
export async function openRunSite(host: RunHost, vm: VmAuthority): Promise<RunSite> {
  await using stack = new AsyncDisposableStack()
  const { folder, lock } = stack.use(await requireVmSite(host.datastores, vm))
  if (lock.descriptor === null) throw new AgentError('internal', `${lock.path}: this lock cannot be handed on`)
  const document = await agreedDocument(folder, vm)
  await refuseUnfinished(folder)
  using keys = new KeyLoans(host.keys, keyNeedsOf(vm), host.cryptoSupported)
  const details = await openHome(folder, vm, document, keys.of(vm.encryption?.keys ?? []))
  const disks: RunDisk[] = []
  for (const disk of vm.disks.toSorted((one, other) => one.number - other.number)) {
    const run = await runDiskOf(folder, disk, keys)
    disks.push(run)
    if (run.passphrase !== null) stack.use(run.passphrase)
  }
  const open = stack.move()
  return { details, disks, lockDescriptor: lock.descriptor, [Symbol.asyncDispose]: () => open.disposeAsync() }
}

async function runDiskOf(folder: Folder, disk: DiskAuthority, keys: KeyLoans): Promise<RunDisk> {
  const { number, format, encryption } = disk
  const place = await layerPlace(folder, disk)
  if (encryption === null) await plainImageOf(folder, disk)
  const [identity, direct] = [await identityOf(place), await canDirect(place)]
  const where = { path: place.path, kind: place.kind, identity, direct }
  if (encryption === null) return { disk, ...where, passphrase: null }
  using record = await openDiskRecord(folder, disk, keys.of(encryption.keys))
  if (record.header.payloadFormat !== format) {
    throw new AgentError(
      'datastore-mismatch',
      `disk ${number}, layer ${disk.layerId}: its payload format is ${record.header.payloadFormat}, the control plane knows ${format}`,
    )
  }
  return { disk, ...where, passphrase: passphraseOf(record.dek) }
}

async function identityOf(place: Place): Promise<string> {
  const stats = await place.stat()
  if (stats === null) throw new AgentError('file-missing', `${place.path}: is missing`)
  return stats.identity
}

/** Whether its file system can do without the page cache. */
async function canDirect(place: Place): Promise<boolean> {
  try {
    await using _file = await place.open('read', { direct: true })
    return true
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return false
    throw error
  }
}
