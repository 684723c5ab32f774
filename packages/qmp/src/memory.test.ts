import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { passphraseOf } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { memoryScanSkip, memoryTraces, qemuSkip, temporaryFolder } from '@cryptvisor/testkit'
import { MasterSecret } from './master-secret.ts'
import { overwriteFreed } from './overwrite-freed.ts'
import { Qmp } from './qmp.ts'
import { startWithMaster } from './testing/start-with-master.ts'

const skip = qemuSkip === false ? memoryScanSkip : qemuSkip

test('who hands a passphrase to a QEMU keeps no copy of it, nor does that QEMU', { skip }, async (context) => {
  const path = join(temporaryFolder(context), 'monitor')
  using dek = Secret.random(32)
  using passphrase = passphraseOf(dek)
  using master = MasterSecret.create()
  await using qemu = await startWithMaster(
    [
      ...['-machine', 'none', '-S'],
      ...['-chardev', `socket,id=server,path=${path},server=on,wait=off`, '-mon', 'chardev=server,mode=control'],
    ],
    master,
  )
  const child = spawn(process.execPath, ['--expose-gc', join(import.meta.dirname, 'testing/secret-user.ts'), path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  context.after(() => child.kill('SIGKILL'))
  // The DEK stands for its passphrase: its hexadecimal form is that.
  const keys = [dek, master.key]
  const traces = (pid: number | undefined) =>
    keys.map((key) => key.expose((bytes) => (pid === undefined ? Number.NaN : memoryTraces(pid, bytes))))
  master.key.expose((key) => child.stdin.write(Buffer.from(key)))
  passphrase.expose((bytes) => child.stdin.write(Buffer.from(bytes)))

  await once(child.stdout, 'data')
  for (const count of traces(child.pid)) assert.ok(count >= 1, 'what is there is found')
  assert.ok((traces(qemu.pid)[1] ?? 0) >= 1, 'QEMU has its master secret')

  child.stdin.write('.')
  await once(child.stdout, 'data')
  assert.deepEqual(traces(child.pid), [0, 0])

  using qmp = await Qmp.open(qemu.monitor)
  await qmp.execute('object-del', { id: 'master' })
  await overwriteFreed(qmp)
  // A piece that was freed keeps its end longest.
  const ends = keys.map((key) => key.expose((bytes) => memoryTraces(qemu.pid, bytes.subarray(bytes.length / 2))))
  assert.deepEqual([...traces(qemu.pid), ...ends], [0, 0, 0, 0])
  child.stdin.write('.')
  await once(child, 'exit')
})
