import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { createDecryptor } from './data-unit-decryptor.ts'
import { inspectForeign, openForeign } from './foreign-volume.ts'
import { cryptsetupFormat, qemuFill, run, withFile } from './testing/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'luks-foreign-'))
after(() => rmSync(folder, { recursive: true }))
const passphrase = Secret.from(new TextEncoder().encode('a passphrase that somebody chose'))
const other = Secret.from(new TextEncoder().encode('another passphrase'))
const mib = 1_048_576

const argon2 = (type: string, cpus: number) =>
  ['--pbkdf', type, '--pbkdf-memory', '64', '--pbkdf-parallel', `${cpus}`, '--pbkdf-force-iterations', '4'] as const
const pbkdf2 = ['--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'] as const

/** The payload of a volume, decrypted by us. */
async function payloadOf(path: string): Promise<Buffer> {
  const volume = await withFile(path, (readAt, sizeBytes) => openForeign(readAt, sizeBytes, passphrase))
  using volumeKey = volume.volumeKey
  using decryptor = createDecryptor(volumeKey, volume)
  const { payloadOffsetBytes, payloadSizeBytes } = volume
  const bytes = readFileSync(path).subarray(payloadOffsetBytes, payloadOffsetBytes + payloadSizeBytes)
  const half = Math.floor(bytes.length / 2 / volume.unitSizeBytes) * volume.unitSizeBytes
  decryptor.decrypt(bytes.subarray(half), half / 512)
  decryptor.decrypt(bytes.subarray(0, half), 0)
  return bytes
}

for (const cipher of ['aes-xts-plain64', 'aes-xts-plain', 'aes-cbc-essiv:sha256', 'aes-cbc-plain64', 'aes-cbc-plain']) {
  for (const keyBits of cipher.includes('xts') ? [256, 512] : [128, 256]) {
    test(`LUKS1 with ${cipher} and a key of ${keyBits} bits, formatted by cryptsetup and filled by QEMU, is read`, async () => {
      const path = join(folder, 'volume')
      const options = ['--type', 'luks1', '--cipher', cipher, '--key-size', `${keyBits}`]
      cryptsetupFormat(path, 4 * mib, passphrase, ...options, '--pbkdf-force-iterations', '1000')
      const { payloadSizeBytes, adoptionRefusal } = await withFile(path, inspectForeign)
      assert.equal(adoptionRefusal === null, cipher === 'aes-xts-plain64')
      const plaintext = randomBytes(payloadSizeBytes)
      const source = join(folder, 'source')
      writeFileSync(source, plaintext)
      qemuFill(path, source, passphrase)
      assert.ok((await payloadOf(path)).equals(plaintext))
    })
  }
}

for (const hash of [
  'sha1',
  'sha224',
  'sha256',
  'sha384',
  'sha512',
  'ripemd160',
  'sha3-256',
  'blake2b-512',
  'blake2s-256',
  'sm3',
]) {
  test(`both versions are opened with hash ${hash}`, async () => {
    const path = join(folder, 'volume')
    for (const type of ['luks1', 'luks2']) {
      const options = ['--type', type, '--hash', hash, '--luks2-metadata-size', '16k', '--luks2-keyslots-size', '1m']
      cryptsetupFormat(
        path,
        4 * mib,
        passphrase,
        ...(type === 'luks1' ? options.slice(0, 4) : [...options, '--pbkdf', 'pbkdf2']),
        '--pbkdf-force-iterations',
        '1000',
      )
      using volumeKey = (await withFile(path, (readAt, size) => openForeign(readAt, size, passphrase))).volumeKey
      assert.equal(volumeKey.sizeBytes, type === 'luks1' ? 64 : 64)
    }
  })
}

for (const [derivation, unitSizeBytes] of [
  [argon2('argon2id', 1), 512],
  [argon2('argon2id', 4), 4096],
  [argon2('argon2i', 2), 4096],
  [pbkdf2, 1024],
  [pbkdf2, 2048],
  [pbkdf2, 512],
  [pbkdf2, 4096],
] as const) {
  test(`LUKS2 with ${derivation[1]} and sectors of ${unitSizeBytes} bytes, encrypted by cryptsetup, is read`, async () => {
    const path = join(folder, 'volume')
    const plaintext = randomBytes(8 * mib)
    // cryptsetup takes what the header needs, twice, from the end of the disk.
    writeFileSync(path, Buffer.concat([plaintext, Buffer.alloc(32 * mib)]))
    const options = ['--type', 'luks2', '--reduce-device-size', '32M', '--sector-size', `${unitSizeBytes}`]
    run(
      passphrase,
      'cryptsetup',
      'reencrypt',
      '--encrypt',
      '--batch-mode',
      ...options,
      ...derivation,
      '--key-file',
      '-',
      path,
    )
    const volume = await withFile(path, inspectForeign)
    assert.equal(volume.version, 2)
    assert.equal(volume.unitSizeBytes, unitSizeBytes)
    assert.deepEqual(volume.warnings, [])
    assert.ok((await payloadOf(path)).subarray(0, plaintext.length).equals(plaintext))
    await assert.rejects(
      withFile(path, (readAt, sizeBytes) => openForeign(readAt, sizeBytes, other)),
      { name: 'LuksError', code: 'wrong-passphrase' },
    )
  })
}

test('a LUKS1 volume that cryptsetup converted to LUKS2 is read', async () => {
  const path = join(folder, 'volume')
  cryptsetupFormat(path, 4 * mib, passphrase, '--type', 'luks1', '--pbkdf-force-iterations', '1000')
  const plaintext = randomBytes((await withFile(path, inspectForeign)).payloadSizeBytes)
  const source = join(folder, 'source')
  writeFileSync(source, plaintext)
  qemuFill(path, source, passphrase)
  run(null, 'cryptsetup', 'convert', '--batch-mode', '--type', 'luks2', path)
  assert.equal((await withFile(path, inspectForeign)).version, 2)
  assert.ok((await payloadOf(path)).equals(plaintext))
})

test("other key slots, of other ciphers, kinds and keys, are in nobody's way", async () => {
  const path = join(folder, 'volume')
  cryptsetupFormat(path, 20 * mib, other, '--type', 'luks2', ...pbkdf2)
  const keyFile = join(folder, 'key')
  const writeKey = (secret: Secret) =>
    writeFileSync(
      keyFile,
      secret.expose((bytes) => Uint8Array.from(bytes)),
    )
  writeKey(passphrase)
  const add = ['luksAddKey', '--batch-mode', '--key-file', '-']
  using unbound = Secret.from(new TextEncoder().encode('of another key'))
  run(
    other,
    'cryptsetup',
    ...add,
    '--keyslot-cipher',
    'aes-cbc-essiv:sha256',
    '--keyslot-key-size',
    '256',
    ...pbkdf2,
    path,
    keyFile,
  )
  writeKey(unbound)
  run(other, 'cryptsetup', ...add, '--unbound', '--key-size', '256', ...argon2('argon2i', 1), path, keyFile)
  run(null, 'cryptsetup', 'config', '--key-slot', '0', '--priority', 'ignore', path)
  run(null, 'cryptsetup', 'config', '--label', 'a label', path)
  const open = (secret: Secret) => withFile(path, (readAt, sizeBytes) => openForeign(readAt, sizeBytes, secret))
  const { volumeKey, warnings } = await open(passphrase)
  using first = volumeKey
  using second = (await open(other)).volumeKey
  assert.ok(first.equal(second))
  assert.deepEqual(warnings, [])
  await assert.rejects(open(unbound), { code: 'wrong-passphrase' })
})

test('a re-encryption that has begun is refused, and so is a detached header', async () => {
  const path = join(folder, 'volume')
  writeFileSync(path, randomBytes(48 * mib))
  const options = ['--type', 'luks2', '--reduce-device-size', '32M', ...pbkdf2, '--batch-mode', '--key-file', '-']
  run(passphrase, 'cryptsetup', 'reencrypt', '--encrypt', '--init-only', ...options, path)
  await assert.rejects(withFile(path, inspectForeign), { name: 'LuksError', code: 'reencryption' })
  const header = join(folder, 'header')
  writeFileSync(header, new Uint8Array(16 * mib))
  run(
    passphrase,
    'cryptsetup',
    'luksFormat',
    '--type',
    'luks2',
    ...pbkdf2,
    '--batch-mode',
    '--key-file',
    '-',
    '--header',
    header,
    path,
  )
  await assert.rejects(withFile(header, inspectForeign), { name: 'LuksError', code: 'detached-header' })
})
