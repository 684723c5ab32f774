import { randomBytes, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHeader, passphraseOf, type RecordCopyName, writeRecordCopy } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import type { LuksImage, PlainImage } from '../image.ts'
import { createLuksFile, readLuksHeader } from '../luks-file.ts'
import type { TransferOptions } from '../transfer.ts'

/** A file of random bytes. */
export function plainImage(folder: string, name: string, sizeBytes: number): PlainImage {
  const path = join(folder, name)
  writeFileSync(path, randomBytes(sizeBytes))
  return { kind: 'plain', path, sizeBytes }
}

/** A LUKS file without a payload yet, and the passphrase that opens it. */
export async function newLuksImage(
  folder: string,
  name: string,
  sizeBytes: number,
): Promise<LuksImage & { readonly passphrase: Secret }> {
  const path = join(folder, name)
  const volumeKey = Secret.random(64)
  using dek = Secret.random(32)
  const passphrase = passphraseOf(dek)
  const payloadOffsetBytes = 2_097_152
  const header = await createHeader({ volumeKey, passphrase, uuid: randomUUID(), payloadOffsetBytes })
  await createLuksFile(path, header, sizeBytes)
  return { kind: 'luks', path, payloadOffsetBytes, sizeBytes, volumeKey, passphrase }
}

/** Replaces copies of the key record of a LUKS file. */
export async function replaceRecord(path: string, names: readonly RecordCopyName[], record: string): Promise<void> {
  const { bytes, header } = await readLuksHeader(path)
  for (const name of names) writeRecordCopy(bytes, header, name, record)
  writeFileSync(path, bytes, { flag: 'r+' })
}

/** Options that let a transfer run to its end. */
export function unhurried(): TransferOptions {
  return { signal: new AbortController().signal, onProgress: () => {} }
}
