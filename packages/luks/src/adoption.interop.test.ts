import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { addKeySlot } from './add-key-slot.ts'
import { openForeign } from './foreign-volume.ts'
import { parseHeader } from './header.ts'
import { backupHeader, restoreHeader } from './header-backup.ts'
import type { HeaderChange } from './header-change.ts'
import { unlock } from './key-slot.ts'
import { passphraseOf } from './passphrase.ts'
import { recordPlaceOf, writeRecordCopy } from './record-copy.ts'
import { removeKeySlots } from './remove-key-slots.ts'
import { renewDigest } from './renew-digest.ts'
import { cryptsetupFormat, qemuFill, run, withFile } from './testing/tools.ts'

const folder = mkdtempSync(join(tmpdir(), 'luks-adopt-'))
after(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'volume')
const source = join(folder, 'source')
const foreign = Secret.from(new TextEncoder().encode('a passphrase that somebody chose'))
const mib = 1_048_576

function write({ writes }: HeaderChange): void {
  const file = openSync(path, 'r+')
  for (const { bytes, offsetBytes } of writes) writeSync(file, bytes, 0, bytes.length, offsetBytes)
  closeSync(file)
}

const headerBytes = () => {
  const bytes = readFileSync(path)
  return bytes.subarray(0, parseHeader(bytes).payloadOffsetBytes)
}

/** What QEMU reads through the volume. */
function qemuRead(passphrase: Secret): Buffer {
  const target = join(folder, 'back')
  const image = `driver=luks,key-secret=s,file.driver=file,file.filename=${path}`
  run(passphrase, 'qemu-img', 'convert', '--object', 'secret,id=s,file=/dev/stdin', '--image-opts', image, target)
  return readFileSync(target)
}

const testPassphrase = (passphrase: Secret) =>
  run(passphrase, 'cryptsetup', 'luksOpen', '--test-passphrase', '--key-file', '-', path)

/** Adopts the volume at `path` and has QEMU and cryptsetup open it with our passphrase alone. */
async function adopt(plaintext: Buffer): Promise<void> {
  using dek = Secret.random(32)
  using own = passphraseOf(dek)
  using volumeKey = (await withFile(path, (readAt, sizeBytes) => openForeign(readAt, sizeBytes, foreign))).volumeKey
  const old = parseHeader(headerBytes()).keySlots.filter(({ active }) => active)
  write(await addKeySlot(headerBytes(), volumeKey, own))
  testPassphrase(own)
  testPassphrase(foreign)
  write(await renewDigest(headerBytes(), volumeKey))
  testPassphrase(foreign)
  const removal = old.map(({ index }) => index)
  write(await removeKeySlots(headerBytes(), removal, own))
  testPassphrase(own)
  assert.throws(() => testPassphrase(foreign), /No key available/)
  assert.ok(qemuRead(own).equals(plaintext))
  using found = await unlock(headerBytes(), own, 1000)
  assert.ok(found.equal(volumeKey))
}

for (const [hash, keyBits] of [
  ['sha256', 512],
  ['sha1', 256],
  ['sha512', 512],
  ['ripemd160', 512],
] as const) {
  test(`a volume of cryptsetup with ${hash} and ${keyBits} bits, adopted, is read by QEMU and cryptsetup`, async () => {
    const options = ['--type', 'luks1', '--hash', hash, '--key-size', `${keyBits}`, '--cipher', 'aes-xts-plain64']
    cryptsetupFormat(path, 4 * mib, foreign, ...options, '--pbkdf-force-iterations', '1000')
    const plaintext = randomBytes(4 * mib - parseHeader(readFileSync(path)).payloadOffsetBytes)
    writeFileSync(source, plaintext)
    qemuFill(path, source, foreign)
    assert.equal(recordPlaceOf(parseHeader(headerBytes())), 'header')
    await adopt(plaintext)
  })
}

test("a volume of QEMU's own formatter, adopted, keeps its record beside the disk", async () => {
  const plaintext = randomBytes(mib)
  writeFileSync(source, plaintext)
  // QEMU 7.2 measures PBKDF2 with a clock so coarse that it fails now and then.
  const options = [
    '-n',
    '-f',
    'raw',
    '--object',
    'secret,id=s,file=/dev/stdin',
    '-O',
    'luks',
    '-o',
    'key-secret=s,iter-time=10',
  ]
  const create = ['qemu-img', 'convert', ...options.slice(1), source, path]
  const made = Array.from({ length: 20 }).some(
    () =>
      spawnSync('sh', ['-c', 'cat | "$@"', 'sh', ...create], {
        input: foreign.expose((bytes) => Uint8Array.from(bytes)),
      }).status === 0,
  )
  assert.ok(made, 'qemu-img formats in one of twenty tries')
  assert.equal(recordPlaceOf(parseHeader(headerBytes())), 'file')
  await adopt(plaintext)
})

test('a header that was restored from its backup opens, record copies and all', async () => {
  cryptsetupFormat(path, 4 * mib, foreign, '--type', 'luks1', '--pbkdf-force-iterations', '1000')
  const bytes = headerBytes()
  const header = parseHeader(bytes)
  writeRecordCopy(bytes, header, 'A', '{"copy":"A"}')
  const backup = join(folder, 'backup')
  writeFileSync(backup, backupHeader(bytes))
  write({ bytes, writes: [{ offsetBytes: 0, bytes: new Uint8Array(bytes.length) }] })
  write({ bytes, writes: [{ offsetBytes: 0, bytes: restoreHeader(readFileSync(backup), header) }] })
  testPassphrase(foreign)
  assert.deepEqual(headerBytes(), bytes)
  // Without us: the preamble is one sector, the rest is what belongs on the disk.
  writeFileSync(path, spawnSync('tail', ['-c', '+513', backup]).stdout, { flag: 'r+' })
  testPassphrase(foreign)
})
