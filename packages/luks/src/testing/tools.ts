import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, fstatSync, openSync, readSync, truncateSync, writeFileSync } from 'node:fs'
import type { Secret } from '@cryptvisor/secret'
import type { ReadAt } from '../read-at.ts'

/** Runs a program with a secret on its standard input. QEMU opens /dev/stdin, so that has to be a pipe: `cat` makes one. */
export function run(secret: Secret | null, program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', 'cat | "$@"', 'sh', program, ...args], {
    input: secret === null ? '' : secret.expose((bytes) => Uint8Array.from(bytes)),
    encoding: 'utf8',
  })
  assert.equal(status, 0, `${program} ${args.join(' ')}: ${stderr}`)
  return stdout
}

/** Formats a new file of `sizeBytes` bytes by `cryptsetup luksFormat` with more `options`. */
export function cryptsetupFormat(path: string, sizeBytes: number, passphrase: Secret, ...options: readonly string[]) {
  writeFileSync(path, '')
  truncateSync(path, sizeBytes)
  run(passphrase, 'cryptsetup', 'luksFormat', '--batch-mode', ...options, '--key-file', '-', path)
}

/** Encrypts the whole of a LUKS1 volume's payload by QEMU: the bytes of the file `source`, which is as large. */
export function qemuFill(path: string, source: string, passphrase: Secret): void {
  const target = `driver=luks,key-secret=s,file.driver=file,file.filename=${path}`
  const secret = 'secret,id=s,file=/dev/stdin'
  run(passphrase, 'qemu-img', 'convert', '-n', '-f', 'raw', '--object', secret, '--target-image-opts', source, target)
}

/** A reader of a file, for as long as `use` takes. */
export async function withFile<Result>(
  path: string,
  use: (readAt: ReadAt, sizeBytes: number) => Promise<Result>,
): Promise<Result> {
  const file = openSync(path, 'r')
  try {
    return await use(async (offsetBytes, sizeBytes) => {
      const bytes = new Uint8Array(sizeBytes)
      return bytes.subarray(0, readSync(file, bytes, 0, sizeBytes, offsetBytes))
    }, fstatSync(file).size)
  } finally {
    closeSync(file)
  }
}
