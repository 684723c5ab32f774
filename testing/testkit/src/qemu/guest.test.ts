import assert from 'node:assert/strict'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../folder.ts'
import { GuestConsole } from './guest-console.ts'
import { guestFiles, guestSkip } from './guest-files.ts'
import { Stamper } from './stamper.ts'
import { TestQemu } from './test-qemu.ts'

const blockCount = 64
const sizeBytes = 4 * 1_048_576

test('a guest boots, obeys, and stamps its disk so that every lost write shows', {
  skip: guestSkip,
}, async (context) => {
  const path = join(temporaryFolder(context), 'disk.raw')
  writeFileSync(path, '')
  truncateSync(path, sizeBytes)
  const { kernel, initrd, commandLine } = await guestFiles()
  await using qemu = await TestQemu.start([
    ...['-machine', 'q35', '-accel', 'tcg', '-m', '128', '-kernel', kernel, '-initrd', initrd, '-append', commandLine],
    ...['-blockdev', `driver=raw,node-name=disk,file.driver=file,file.filename=${path}`],
    ...['-device', 'virtio-blk-pci,drive=disk'],
  ])
  const guest = new GuestConsole(qemu.console)
  await guest.ready()
  assert.equal(await guest.run('blockdev --getsize64 /dev/vda'), String(sizeBytes))
  assert.deepEqual(await guest.tryRun('echo so; false'), { exitCode: 1, output: 'so' })
  await assert.rejects(guest.run('sh -c "exit 3"'), /exit code 3/)

  const stamper = await Stamper.start(guest, { name: 'one', device: '/dev/vda', blockCount })
  const { count } = await stamper.reaches(10)
  const stopped = await stamper.stop()
  assert.ok(stopped.count >= count)
  context.diagnostic(`${stopped.count} stamps, worst gap ${stopped.worstGapMs} ms`)
  const disk = readFileSync(path)
  assert.equal(stamper.problemIn(disk, stopped.count), null)
  assert.equal(stamper.countOn(disk), stopped.count)

  const again = await Stamper.start(guest, { name: 'one', device: '/dev/vda', blockCount, first: stopped.count })
  const acknowledged = await again.reaches(stopped.count + 5)
  await qemu[Symbol.asyncDispose]()
  const killed = readFileSync(path)
  const found = again.countOn(killed)
  assert.ok(found >= acknowledged.count)
  assert.equal(again.problemIn(killed, found), null)
  await assert.rejects(guest.run('true'), /serial line ended/)

  // A write that was lost, one that is too new, and one that is torn.
  const lost = Buffer.from(killed)
  const last = ((found - 1) * 7919) % blockCount
  lost.fill(0, last * 4096, (last + 1) * 4096)
  assert.match(again.problemIn(lost, found) ?? '', new RegExp(`block ${last} must have stamp ${found - 1}`))
  assert.match(again.problemIn(killed, found - 1) ?? '', /must have no stamp later than/)
  const torn = Buffer.from(killed)
  const before = ((found - 2) * 7919) % blockCount
  torn.fill(0x20, before * 4096 + 2048, (before + 1) * 4096)
  assert.throws(() => again.countOn(torn), /never like this/)
})
