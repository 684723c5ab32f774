import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import { unwrapDek } from '@cryptvisor/key-record'
import { parseHeader, passphraseOf, readRecordCopies, unlock } from '@cryptvisor/luks'
import type { Secret } from '@cryptvisor/secret'

/** All keys of a VM's first disk and of its VM Home, found on the datastore with the KEK alone. */
export interface FoundKeys {
  readonly path: string
  readonly diskDek: Secret
  readonly volumeKey: Secret
  readonly homeDek: Secret
}

/** Takes an encrypted VM's records from its files, as somebody with the KEK and without the agent would. */
export async function findKeys(vm: VmAuthority, key: KeyReference, kek: Secret): Promise<FoundKeys> {
  const [disk] = vm.disks
  if (disk?.encryption?.luksUuid == null || vm.encryption === null) throw new Error('the VM is not encrypted')
  const kid = `${key.provider}/${key.keyId}`
  const folder = join(vm.datastorePath, vm.folder)
  const path = join(folder, `${disk.layerId}.luks`)
  const bytes = readFileSync(path).subarray(0, 2_097_152)
  const { A: copy } = readRecordCopies(bytes, parseHeader(bytes))
  if (copy.state !== 'text') throw new Error(`copy A is ${copy.state}`)
  const expected = { kids: [kid], generationMin: 1 }
  const { luksUuid } = disk.encryption
  const { dek: diskDek } = await unwrapDek(
    copy.text,
    { kid, kek },
    { kind: 'disk', layerId: disk.layerId, luksUuid, ...expected },
  )
  const keySafe = readFileSync(join(folder, 'vm.keysafe'), 'utf8')
  const { dek: homeDek } = await unwrapDek(keySafe, { kid, kek }, { kind: 'vm-home', vmId: vm.vmId, ...expected })
  using passphrase = passphraseOf(diskDek)
  return { path, diskDek, volumeKey: await unlock(bytes, passphrase), homeDek }
}

/** Runs a shell command that gets the disk's passphrase by a pipe; throws when it fails. */
export async function runWithPassphrase(dek: Secret, command: string, ...args: string[]): Promise<void> {
  // QEMU opens /dev/stdin anew, which works for a pipe, but not for the socket that Node gives a child.
  const child = spawn('sh', ['-c', `cat | ${command}`, 'sh', ...args], { stdio: ['pipe', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  using passphrase = passphraseOf(dek)
  passphrase.expose((bytes) => child.stdin.end(Buffer.from(bytes)))
  const [exitCode] = (await once(child, 'close')) as [number | null]
  if (exitCode !== 0) throw new Error(`${command} ended with ${exitCode}: ${errors}`)
}
