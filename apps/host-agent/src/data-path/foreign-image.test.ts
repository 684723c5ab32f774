import assert from 'node:assert/strict'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { CipherName } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import type { LuksImage } from './image.ts'
import { readHead } from './read-head.ts'
import { type ImageFolder as Folder, ImageFolder, newLuksImage, unhurried } from './testing/images.ts'
import { transfer } from './transfer.ts'
import { verify } from './verify.ts'

const sectorBytes = 512

type Unit = 512 | 1024 | 2048 | 4096

/** What OpenSSL makes of the data units of a payload, one by one. */
function encryptUnits(plaintext: Buffer, key: Buffer, cipher: CipherName, unit: Unit, ivTweak: number): Buffer {
  const units: Buffer[] = []
  const aes = (key: Buffer, mode: string) => `aes-${(mode === 'xts' ? key.length / 2 : key.length) * 8}-${mode}`
  for (let offset = 0; offset < plaintext.length; offset += unit) {
    const iv = Buffer.alloc(16)
    iv.writeBigUInt64LE(BigInt(offset / sectorBytes + ivTweak))
    if (cipher.includes('essiv')) {
      const hash = createHash('sha256').update(key).digest()
      const essiv = createCipheriv('aes-256-ecb', hash, null).setAutoPadding(false)
      iv.set(essiv.update(Uint8Array.from(iv)))
    }
    const engine = createCipheriv(aes(key, cipher.includes('xts') ? 'xts' : 'cbc'), key, iv).setAutoPadding(false)
    units.push(engine.update(plaintext.subarray(offset, offset + unit)), engine.final())
  }
  return Buffer.concat(units)
}

/** A volume that somebody else made, its payload at an offset that no page divides. */
function foreignImage(folder: Folder, plaintext: Buffer, cipher: CipherName, unit: Unit, ivTweak: number): LuksImage {
  const key = randomBytes(cipher.includes('xts') ? 64 : 32)
  const payloadOffsetBytes = 3 * sectorBytes
  const name = `${cipher}-${unit}`.replaceAll(':', '-')
  const bytes = Buffer.concat([randomBytes(payloadOffsetBytes), encryptUnits(plaintext, key, cipher, unit, ivTweak)])
  writeFileSync(folder.at(name), bytes)
  const volumeKey = Secret.from(key)
  const foreign = { cipher, ivTweak }
  const { length: sizeBytes } = plaintext
  return {
    kind: 'luks',
    place: folder.place(name),
    payloadOffsetBytes,
    sizeBytes,
    volumeKey,
    unitSizeBytes: unit,
    foreign,
  }
}

for (const [cipher, unit, ivTweak] of [
  ['aes-xts-plain64', 4096, 0],
  ['aes-xts-plain64', 1024, 8],
  ['aes-xts-plain', 512, 0],
  ['aes-cbc-essiv:sha256', 512, 0],
  ['aes-cbc-plain64', 2048, 16],
] as const) {
  test(`a foreign volume with ${cipher} in units of ${unit} is read by worker threads, and compared`, async (context) => {
    const folder = await ImageFolder.open(context)
    const plaintext = randomBytes(5 * 4096 + 65_536)
    const source = foreignImage(folder, plaintext, cipher, unit, ivTweak)
    assert.deepEqual(Buffer.from(await readHead(source, 1000)), plaintext.subarray(0, 1000))
    const plain = folder.plain('back', plaintext.length)
    await transfer(source, plain, { ...unhurried(), lanes: { laneCount: 2, chunkBytes: 8192 } })
    assert.ok(folder.bytes('back').equals(plaintext))
    const own = await newLuksImage(folder.place('own'), plaintext.length)
    await transfer(source, own, unhurried())
    await verify(source, own, unhurried())
    const damaged = folder.bytes('own')
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1
    writeFileSync(folder.at('own'), damaged)
    await assert.rejects(verify(source, own, unhurried()), { code: 'mismatch' })
    await assert.rejects(transfer(own, source, unhurried()), { name: 'DataPathError' })
    for (const { volumeKey } of [source, own]) volumeKey[Symbol.dispose]()
  })
}
