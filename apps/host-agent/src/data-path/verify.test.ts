import assert from 'node:assert/strict'
import { closeSync, openSync, readSync, statSync, truncateSync, writeSync } from 'node:fs'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { DataPathError } from './data-path-error.ts'
import { ImageFolder, unhurried } from './testing/images.ts'
import { transfer } from './transfer.ts'
import { verify } from './verify.ts'

function flip(path: string, offset: number): void {
  const fd = openSync(path, 'r+')
  const byte = Buffer.alloc(1)
  readSync(fd, byte, 0, 1, offset)
  writeSync(fd, Uint8Array.of(byte.readUInt8() ^ 1), 0, 1, offset)
  closeSync(fd)
}

async function mismatchOffset(verification: Promise<unknown>): Promise<number> {
  const error = await verification.catch((reason: unknown) => reason)
  assert.ok(error instanceof DataPathError, `${error}`)
  assert.equal(error.code, 'mismatch')
  return Number(/offset (\d+)/.exec(error.message)?.[1])
}

test('a flipped bit in a plain target is found, at its offset', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 3_000_001)
  const target = folder.plain('target.raw', source.sizeBytes)
  await transfer(source, target, unhurried())
  for (const offset of [0, 1_048_575, 1_048_576, 3_000_000]) {
    flip(target.place.path, offset)
    assert.equal(await mismatchOffset(verify(source, target, unhurried())), offset)
    flip(target.place.path, offset)
  }
  await verify(source, target, unhurried())
})

test('a flipped bit in a LUKS payload is found, in its block of 16 bytes', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 3_000_001)
  const luks = await folder.luksImage('disk.luks', source.sizeBytes)
  await transfer(source, luks, unhurried())
  for (const offset of [0, 2_000_000, 2_999_999]) {
    flip(luks.place.path, luks.payloadOffsetBytes + offset)
    const found = await mismatchOffset(verify(source, luks, unhurried()))
    assert.equal(Math.floor(found / 16), Math.floor(offset / 16))
    flip(luks.place.path, luks.payloadOffsetBytes + offset)
  }
  const { readBack } = await verify(source, luks, unhurried())
  assert.match(readBack, /^(device|page-cache)$/)
})

test('another volume key, a cut or grown target and a flipped bit of the padding are found', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 10_000)
  const luks = await folder.luksImage('disk.luks', source.sizeBytes)
  await transfer(source, luks, unhurried())
  using otherKey = Secret.random(64)
  await assert.rejects(verify(source, { ...luks, volumeKey: otherKey }, unhurried()), DataPathError)
  const { size } = statSync(luks.place.path)
  flip(luks.place.path, size - 1)
  await assert.rejects(verify(source, luks, unhurried()), { code: 'padding-not-zero' })
  flip(luks.place.path, size - 1)
  truncateSync(luks.place.path, size + 512)
  await assert.rejects(verify(source, luks, unhurried()), { code: 'size-mismatch' })
  truncateSync(luks.place.path, size - 512)
  await assert.rejects(verify(source, luks, unhurried()), { code: 'size-mismatch' })
})

test('a comparison stops when it is told to, and removes nothing', async (context) => {
  const folder = await ImageFolder.open(context)
  const source = folder.plainImage('source.raw', 10_000)
  const target = folder.plain('target.raw', source.sizeBytes)
  await transfer(source, target, unhurried())
  const controller = new AbortController()
  const running = verify(source, target, { ...unhurried(), signal: controller.signal })
  controller.abort()
  await assert.rejects(running, { code: 'aborted' })
  await verify(source, target, unhurried())
})
