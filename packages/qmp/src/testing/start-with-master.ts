import { closeSync, constants, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { TestQemu } from '@cryptvisor/testkit'
import type { MasterSecret } from '../master-secret.ts'

/** Starts a QEMU whose object `master` has `master`, read from a file in memory that has no name any more. */
export async function startWithMaster(args: readonly string[], master: MasterSecret): Promise<TestQemu> {
  const folder = mkdtempSync('/dev/shm/cryptvisor-test-')
  const path = join(folder, 'master')
  const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
  rmSync(folder, { recursive: true })
  master.key.expose((key) => writeSync(descriptor, key, 0, key.length, 0))
  try {
    return await TestQemu.start(['-object', 'secret,id=master,format=raw,file=/proc/self/fd/5', ...args], [descriptor])
  } finally {
    closeSync(descriptor)
  }
}
