import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkQcow2 } from './check-qcow2.ts'
import type { Image } from './image.ts'
import { ImageFolder } from './testing/images.ts'

const mib = 1_048_576
const clusterBytes = 65_536

/** Fields of a header, and entries of its tables: docs/interop/qcow2.txt of QEMU. */
const l1TableOffsetAt = 40
const snapshotCountAt = 60
const snapshotTableOffsetAt = 64
const zeroFlag = 1n
const copiedFlag = 0x8000_0000_0000_0000n

/** An empty qcow2, as `change` leaves it; what it returns is laid behind. */
function image(folder: ImageFolder, virtualSize: string, change: (head: Buffer, l1: number) => Buffer): Image {
  const name = 'disk.qcow2'
  const args = ['create', '-q', '-f', 'qcow2', folder.at(name), virtualSize]
  assert.equal(spawnSync('qemu-img', args).status, 0)
  const empty = folder.bytes(name)
  const head = Buffer.alloc(Math.ceil(empty.length / clusterBytes) * clusterBytes)
  head.set(empty)
  const behind = change(head, Number(head.readBigUInt64BE(l1TableOffsetAt)))
  writeFileSync(folder.at(name), Buffer.concat([head, behind]))
  const sizeBytes = 64 * mib
  truncateSync(folder.at(name), sizeBytes)
  return { kind: 'plain', place: folder.place(name), sizeBytes }
}

/** All of 512 GiB, zeros by one and the same L2 table. */
function manyNamed(head: Buffer, l1: number): Buffer {
  for (let entry = 0; entry < 1024; entry++) head.writeBigUInt64BE(copiedFlag | BigInt(head.length), l1 + entry * 8)
  const l2 = Buffer.alloc(clusterBytes)
  for (let at = 0; at < l2.length; at += 8) l2.writeBigUInt64BE(zeroFlag, at)
  return l2
}

/** As many snapshots of nothing, all with one L1 table. */
function manySnapshots(head: Buffer, l1: number): Buffer {
  const count = 500
  const sizeBytes = 40
  head.writeUInt32BE(count, snapshotCountAt)
  head.writeBigUInt64BE(BigInt(head.length), snapshotTableOffsetAt)
  const table = Buffer.alloc(count * sizeBytes)
  for (let at = 0; at < table.length; at += sizeBytes) {
    table.writeBigUInt64BE(BigInt(l1), at)
    table.writeUInt32BE(1, at + 8)
  }
  return table
}

for (const [what, virtualSize, change] of [
  ['names one table again and again', '512G', manyNamed],
  ['has many snapshots', '64M', manySnapshots],
] as const) {
  test(`an image that ${what} holds up nothing else while it is looked at`, async (context) => {
    const folder = await ImageFolder.open(context)
    const large = image(folder, virtualSize, change)
    await checkQcow2(large, new AbortController().signal)
    const stopping = new AbortController()
    const checking = checkQcow2(large, stopping.signal)
    // Whoever stops it gets a turn before it has ended.
    const interval = setInterval(() => stopping.abort(), 1)
    context.after(() => clearInterval(interval))
    await assert.rejects(checking, { name: 'DataPathError', code: 'aborted' })
  })
}
