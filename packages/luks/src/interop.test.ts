import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { createXts } from '@cryptvisor/crypto'
import { Secret } from '@cryptvisor/secret'
import { createHeader } from './create-header.ts'
import { parseHeader } from './header.ts'
import { unlock } from './key-slot.ts'
import { passphraseOf } from './passphrase.ts'
import { readRecordCopies, writeRecordCopy } from './record-copy.ts'
import { run } from './testing/tools.ts'

const uuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'
const payloadOffsetBytes = 2_097_152
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'luks-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

async function newVolume(plaintext: Uint8Array) {
  const volumeKey = Secret.random(64)
  using dek = Secret.random(32)
  const passphrase = passphraseOf(dek)
  const header = await createHeader({ volumeKey, passphrase, uuid })
  writeRecordCopy(header, parseHeader(header), 'A', '{"copy":"A"}')
  writeRecordCopy(header, parseHeader(header), 'B', '{"copy":"B"}')
  using xts = createXts(volumeKey)
  const payload = new Uint8Array(plaintext.length)
  xts.encrypt(plaintext, 0, payload)
  const path = join(folder, 'disk.luks')
  writeFileSync(path, Buffer.concat([header, payload]))
  return { path, passphrase, volumeKey }
}

test('cryptsetup describes and opens our volume', async () => {
  const { path, passphrase } = await newVolume(randomBytes(4096))
  const dump = run(null, 'cryptsetup', 'luksDump', path)
  assert.match(dump, /Version:\s+1\n/)
  assert.match(dump, /Cipher mode:\s+xts-plain64\n/)
  assert.match(dump, /Payload offset:\s+4096\n/)
  assert.match(dump, new RegExp(`UUID:\\s+${uuid}`))
  assert.match(dump, /Key Slot 0: ENABLED/)
  assert.match(dump, /Key Slot 7: DISABLED/)
  run(passphrase, 'cryptsetup', 'luksOpen', '--test-passphrase', '--key-file', '-', path)
  using wrong = Secret.random(64)
  assert.throws(() => run(wrong, 'cryptsetup', 'luksOpen', '--test-passphrase', '--key-file', '-', path), /No key/)
})

test('qemu-img reads our raw payload back bit for bit', async () => {
  const plaintext = randomBytes(3 * 1_048_576 + 512)
  const { path, passphrase } = await newVolume(plaintext)
  const info: unknown = JSON.parse(run(null, 'qemu-img', 'info', '--output=json', path))
  assert.partialDeepStrictEqual(info, {
    format: 'luks',
    encrypted: true,
    'virtual-size': plaintext.length,
    'format-specific': { data: { 'cipher-mode': 'xts', 'ivgen-alg': 'plain64', 'hash-alg': 'sha256', uuid } },
  })
  const target = join(folder, 'back.raw')
  const secret = 'secret,id=s,file=/dev/stdin'
  const source = `driver=luks,key-secret=s,file.driver=file,file.filename=${path}`
  run(passphrase, 'qemu-img', 'convert', '--object', secret, '--image-opts', source, '-O', 'raw', target)
  assert.ok(readFileSync(target).equals(plaintext))
})

test('qemu-img checks a qcow2 image inside our volume', async () => {
  const image = join(folder, 'image.qcow2')
  run(null, 'qemu-img', 'create', '-q', '-f', 'qcow2', image, '64M')
  truncateSync(image, Math.ceil(readFileSync(image).length / 512) * 512)
  const { path, passphrase } = await newVolume(readFileSync(image))
  const source = `driver=qcow2,file.driver=luks,file.key-secret=s,file.file.driver=file,file.file.filename=${path}`
  const secret = 'secret,id=s,file=/dev/stdin'
  const text = run(passphrase, 'qemu-img', 'check', '--object', secret, '--output=json', '--image-opts', source)
  assert.partialDeepStrictEqual(JSON.parse(text), { format: 'qcow2', 'check-errors': 0 })
})

test('we unlock what cryptsetup formats, whatever the hash and the key size', async () => {
  for (const hash of ['sha1', 'sha256', 'sha512']) {
    for (const keyBits of [256, 512]) {
      const path = join(folder, `${hash}-${keyBits}.luks`)
      writeFileSync(path, '')
      truncateSync(path, 4 * 1_048_576)
      using passphrase = Secret.from(new TextEncoder().encode('a passphrase that somebody chose'))
      run(
        passphrase,
        ...['cryptsetup', 'luksFormat', '--type', 'luks1', '--batch-mode', '--pbkdf-force-iterations', '1000'],
        ...([
          '--cipher',
          'aes-xts-plain64',
          '--hash',
          hash,
          '--key-size',
          `${keyBits}`,
          '--key-file',
          '-',
          path,
        ] as const),
      )
      const bytes = readFileSync(path)
      const header = parseHeader(bytes)
      assert.equal(header.hash, hash)
      assert.equal(header.volumeKeySizeBytes * 8, keyBits)
      using volumeKey = await unlock(bytes.subarray(0, header.payloadOffsetBytes), passphrase)
      assert.equal(volumeKey.sizeBytes * 8, keyBits)
    }
  }
})

test('what cryptsetup does to our key slots leaves the key record alone', async () => {
  const { path, passphrase, volumeKey } = await newVolume(randomBytes(4096))
  using other = Secret.from(new TextEncoder().encode('0123456789abcdef0123456789abcdef'))
  const keyFile = join(folder, 'key')
  writeFileSync(
    keyFile,
    other.expose((bytes) => Uint8Array.from(bytes)),
    { mode: 0o600 },
  )
  const iterations = ['--pbkdf-force-iterations', '1000']
  run(passphrase, 'cryptsetup', 'luksAddKey', '--batch-mode', ...iterations, '--key-file', '-', path, keyFile)
  const added = readFileSync(path).subarray(0, payloadOffsetBytes)
  assert.equal(parseHeader(added).keySlots.filter((slot) => slot.active).length, 2)
  for (const secret of [passphrase, other]) {
    using found = await unlock(added, secret)
    assert.ok(found.equal(volumeKey))
  }
  run(other, 'cryptsetup', 'luksKillSlot', '--batch-mode', '--key-file', '-', path, '0')
  const killed = readFileSync(path).subarray(0, payloadOffsetBytes)
  await assert.rejects(unlock(killed, passphrase), { code: 'wrong-passphrase' })
  using found = await unlock(killed, other)
  assert.ok(found.equal(volumeKey))
  assert.deepEqual(readRecordCopies(killed, parseHeader(killed)), {
    A: { state: 'text', text: '{"copy":"A"}' },
    B: { state: 'text', text: '{"copy":"B"}' },
  })
})
