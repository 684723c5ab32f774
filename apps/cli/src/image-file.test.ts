import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { ImageFile } from './image-file.ts'
import { formatOfContent } from './image-magic.ts'

test('a block device is read whole', async (context) => {
  const content = randomBytes(2 * 1_048_576 + 512)
  const path = loopDevice(context, content)
  if (path === null || !existsSync('/sys/dev/block')) return context.skip('no loop device can be made here')
  await using image = await ImageFile.open({ path }, 'raw')
  assert.equal(image.sizeBytes, content.length)
  const pieces: Buffer[] = []
  const counts: number[] = []
  for await (const piece of image.content((count) => counts.push(count))) pieces.push(piece)
  assert.ok(Buffer.concat(pieces).equals(content))
  assert.deepEqual(counts, [1_048_576, 2_097_152, content.length])
})

test('a magic counts at the beginning only, and whole', () => {
  assert.equal(formatOfContent(Buffer.from('LUKS\xba\xbe', 'latin1')), 'LUKS')
  assert.equal(formatOfContent(Buffer.from('LUKS\xba\xbf', 'latin1')), null)
  assert.equal(formatOfContent(Buffer.from(' QFI\xfb', 'latin1')), null)
  assert.equal(formatOfContent(Buffer.from('QFI', 'latin1')), null)
  assert.equal(formatOfContent(Buffer.alloc(512)), null)
  assert.equal(formatOfContent(Buffer.alloc(0)), null)
})

test('a raw image that ends within a sector is refused before anything is made, with what to do', async (context) => {
  const path = join(temporaryFolder(context), 'odd.img')
  writeFileSync(path, Buffer.alloc(1000))
  for (const format of ['raw', undefined] as const) {
    await assert.rejects(ImageFile.open({ path, option: '--disk' }, format), {
      code: 'bad-file',
      message: `--disk: ${path} has 1000 bytes, and a disk has a multiple of 512`,
    })
  }
})

/** A loop device over `content`, gone after the test; `null` where that takes rights that we do not have. */
function loopDevice(context: TestContext, content: Uint8Array): string | null {
  const file = join(temporaryFolder(context), 'image')
  writeFileSync(file, content)
  const made = spawnSync('/usr/sbin/losetup', ['--find', '--show', '--read-only', file], { encoding: 'utf8' })
  if (made.status !== 0) return null
  const path = made.stdout.trim()
  context.after(() => spawnSync('/usr/sbin/losetup', ['--detach', path]))
  return path
}
