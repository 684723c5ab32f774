import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { KeyReference, OperationRequest, OperationStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import type { Operations } from '../operation/operations.ts'
import { endOf, type TestHost } from './test-host.ts'

/** What opens the volumes that are made here. */
export const foreignPassphrase = 'a passphrase that somebody chose'

const mib = 1_048_576

/** Room for any header that is made here. */
const headerMaxBytes = 17 * mib

/** How often QEMU's formatter is tried: it measures PBKDF2 with a clock so coarse that it fails now and then. */
const qemuTriesMax = 30

function tool(program: string, ...args: readonly string[]): boolean {
  // QEMU opens /dev/stdin anew, which works for a pipe alone: `cat` makes one.
  const { status } = spawnSync('sh', ['-c', 'cat | "$@"', 'sh', program, ...args], { input: foreignPassphrase })
  return status === 0
}

/** A volume of QEMU's own formatter, whose header has no room for a key record, with such a payload. */
export function qemuLuks1(folder: string, payload: Buffer): Buffer {
  const [source, path] = [join(folder, 'source.raw'), join(folder, 'qemu.luks')]
  writeFileSync(source, payload)
  const options = [
    '-f',
    'raw',
    '--object',
    'secret,id=s,file=/dev/stdin',
    '-O',
    'luks',
    '-o',
    'key-secret=s,iter-time=10',
  ]
  const made = Array.from({ length: qemuTriesMax }).some(() => tool('qemu-img', 'convert', ...options, source, path))
  assert.ok(made, `qemu-img formats in one of ${qemuTriesMax} tries`)
  return readFileSync(path)
}

/** A LUKS1 volume of cryptsetup's, filled by QEMU; more `options` for `luksFormat`. */
export function cryptsetupLuks1(folder: string, payload: Buffer, ...options: readonly string[]): Buffer {
  const [source, path] = [join(folder, 'source.raw'), join(folder, 'cryptsetup.luks')]
  writeFileSync(source, payload)
  writeFileSync(path, Buffer.alloc(payload.length + headerMaxBytes))
  const format = [
    'luksFormat',
    '--batch-mode',
    '--type',
    'luks1',
    '--pbkdf-force-iterations',
    '1000',
    '--key-size',
    '512',
  ]
  assert.ok(tool('cryptsetup', ...format, ...options, '--key-file', '-', path))
  // LUKS On-Disk Format 1.2.3, 2.4: the payload's offset in sectors.
  truncateSync(path, readFileSync(path).readUInt32BE(104) * 512 + payload.length)
  const target = `driver=luks,key-secret=s,file.driver=file,file.filename=${path}`
  const secret = ['--object', 'secret,id=s,file=/dev/stdin']
  assert.ok(tool('qemu-img', 'convert', '-n', '-f', 'raw', ...secret, '--target-image-opts', source, target))
  return readFileSync(path)
}

/** A LUKS2 volume that cryptsetup encrypted; 32 MiB of its end went for the header, so its payload is as long as given. */
export function cryptsetupLuks2(folder: string, payload: Buffer, ...options: readonly string[]): Buffer {
  const path = join(folder, 'cryptsetup.luks2')
  writeFileSync(path, Buffer.concat([payload, Buffer.alloc(32 * mib)]))
  const encrypt = ['reencrypt', '--encrypt', '--batch-mode', '--type', 'luks2', '--reduce-device-size', '32M']
  assert.ok(tool('cryptsetup', ...encrypt, ...options, '--key-file', '-', path))
  return readFileSync(path)
}

/** A request for a volume of so many bytes. */
export function volumeRequest(
  vm: VmAuthority,
  contentBytes: number,
  key: KeyReference | null,
  more: { mode?: 'import' | 'adopt'; format?: 'raw' | 'qcow2'; thin?: boolean } = {},
) {
  return {
    kind: 'import-volume',
    vm,
    diskId: randomUUID(),
    number: vm.disks.length,
    mode: 'import',
    format: 'raw',
    contentBytes,
    policy: key === null ? 'Datastore Default' : 'VM Encryption Policy',
    key,
    ...more,
  } satisfies OperationRequest
}

/** Starts an import and sends it all that it waits for; gives how it ended. */
export async function sendVolume(
  operations: Operations,
  id: string,
  request: OperationRequest,
  volume: Uint8Array,
  passphrase = foreignPassphrase,
): Promise<OperationStatus> {
  operations.start(id, request)
  using secret = Secret.from(new TextEncoder().encode(passphrase))
  operations.passphrase(id, secret)
  await operations.content(id, Readable.from([volume]), volume.length)
  return await endOf(operations, id)
}

/** The same in an agent of its own. */
export async function importVolume(
  host: TestHost,
  request: OperationRequest,
  volume: Uint8Array,
  passphrase = foreignPassphrase,
): Promise<OperationStatus> {
  await using operations = host.operations()
  const id = randomUUID()
  const status = await sendVolume(operations, id, request, volume, passphrase)
  await operations.forget(id)
  return status
}
