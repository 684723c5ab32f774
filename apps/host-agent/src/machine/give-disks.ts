import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Qmp } from '@cryptvisor/qmp'
import type { Secret } from '@cryptvisor/secret'
import { checkNodes, diskNode, type RunDisk, secretIdOf, topName, wrong } from './disk-nodes.ts'
import { portName } from './machine-description.ts'
import type { SecretHandover } from './secret-handover.ts'

/** How many characters of a disk's name virtio-blk gives to the guest. */
const serialLength = 20

/**
 * Gives a QEMU whose guest does not run yet its disks: opened with passphrases that it has no longer than that takes, checked to be
 * what it was told and nothing else, and plugged in. Throws AgentError `machine-failed`, `datastore-mismatch`, or QmpError; then the QEMU is to
 * be ended.
 */
export async function giveDisks(
  pid: number,
  qmp: Qmp,
  handover: SecretHandover,
  disks: readonly RunDisk[],
): Promise<void> {
  const open = async () => {
    for (const run of disks) await qmp.execute('blockdev-add', diskNode(run))
  }
  const secrets = secretsOf(disks)
  if (Object.keys(secrets).length === 0) await open()
  else await handover.lend(secrets, open)
  checkNodes(await qmp.execute('query-named-block-nodes', { flat: true }), disks)
  await checkFiles(pid, disks)
  for (const [index, run] of disks.entries()) {
    await qmp.execute('device_add', {
      ...{
        driver: 'virtio-blk-pci',
        id: deviceId(run),
        drive: topName(run),
        bus: portName(index),
        bootindex: index + 1,
      },
      serial: run.disk.diskId.replaceAll('-', '').slice(-serialLength),
      // A guest is held rather than told of errors: nothing is lost then, and it goes on when the disk does.
      ...{ werror: 'stop', rerror: 'stop' },
    })
  }
  await checkDevices(qmp, disks)
}

const deviceId = ({ disk }: RunDisk) => `disk${disk.number}`

function secretsOf(disks: readonly RunDisk[]): Record<string, Secret> {
  return Object.fromEntries(
    disks.flatMap(({ disk, passphrase }) => (passphrase === null ? [] : [[secretIdOf(disk), passphrase]])),
  )
}

/** What QEMU opened by its path is the file that was checked: nobody has put another, or a link, in its place meanwhile. */
async function checkFiles(pid: number, disks: readonly RunDisk[]): Promise<void> {
  const folder = `/proc/${pid}/fd`
  const open = new Set<string>()
  for (const name of await readdir(folder)) {
    const stats = await stat(join(folder, name), { bigint: true }).catch(() => null)
    if (stats !== null) open.add(`${stats.dev}:${stats.ino}`)
  }
  const other = disks.find(({ identity }) => !open.has(identity))
  if (other !== undefined) throw wrong(`disk ${other.disk.number}: ${other.path} is another file than it was`)
}

async function checkDevices(qmp: Qmp, disks: readonly RunDisk[]): Promise<void> {
  const devices = await qmp.execute('query-block')
  if (devices.length !== disks.length) throw wrong(`its guest has ${devices.length} drives, not ${disks.length}`)
  for (const run of disks) {
    const inserted = devices.find(({ inserted: node }) => node?.['node-name'] === topName(run))?.inserted
    if (inserted === undefined) throw wrong(`disk ${run.disk.number} is not plugged in`)
    if (inserted.ro) throw wrong(`disk ${run.disk.number} is read-only`)
  }
}
