/**
 * An agent that is killed in the middle of things, for tests: starts a machine in the run folder that is its first argument, leaves a secret in
 * it as one does who dies while a disk is opened, says QEMU's number, and waits to be killed.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Secret } from '@cryptvisor/secret'
import { QemuProcess } from '../machine/qemu-process.ts'
import { SecretHandover } from '../machine/secret-handover.ts'

const [runFolder = ''] = process.argv.slice(2)
const { process: qemu, qmp } = await QemuProcess.start({
  description: {
    vmId: randomUUID(),
    memoryMib: 64,
    cpuCount: 1,
    acceleration: 'tcg',
    portCount: 1,
    lockMemory: false,
  },
  runFolder,
})
const secret = Secret.random(64)
await new SecretHandover(qemu.pid, qmp).lend({ key: secret }, async () => {
  process.stdout.write(`${qemu.pid}\n`)
  await sleep(600_000)
})
