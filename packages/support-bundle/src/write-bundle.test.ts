import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { temporaryFolder } from '@cryptvisor/testkit'
import { type BundlePart, documentPart } from './bundle-part.ts'
import { hostKeyPairOf } from './host-key-pair.ts'
import { openSealed } from './open-sealed.ts'
import { Redactor } from './redactor.ts'
import { openBundleKey, parseSealedHeader, sealBundle } from './sealed-bundle.ts'
import { SupportBundleError } from './support-bundle-error.ts'
import { writeBundle } from './write-bundle.ts'

const subject = { kind: 'host', name: 'host-a', version: '1.2.3', takenBy: 'kim', takenAt: 1_700_000_000_000 }
const limits = { fileSizeMax: 1000, sizeMax: 2500, fileTimeMs: 100 }

const part = (name: string, lines: BundlePart['lines']): BundlePart => ({ name, about: `about ${name}`, lines })

test('any tar reads it; what fails, hangs or is too long is cut, and the manifest says so', async (context) => {
  const folder = temporaryFolder(context)
  const parts = [
    documentPart('a/facts.json', 'facts', () => ({ kernel: '6.1', secret: 'x' })),
    part('b/log.jsonl', () => ['{"msg":"one"}', 'two']),
    part('c/long.jsonl', function* () {
      for (let index = 0; ; index++) yield { index }
    }),
    part('d/failed.json', () => {
      throw new Error(`no such thing: password=x${randomBytes(32).toString('hex')}`)
    }),
    part('e/hangs.jsonl', async function* (signal) {
      yield 'before'
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      yield 'after'
    }),
    part('f/big.txt', () => ['x'.repeat(990)]),
    part('g/beyond.txt', () => ['x'.repeat(990)]),
  ]
  const path = join(folder, 'bundle.tar.gz')
  writeFileSync(path, await buffer(writeBundle(subject, parts, new Redactor(), limits)))
  execFileSync('tar', ['-xzf', path, '-C', folder])
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  assert.deepEqual(JSON.parse(read('a/facts.json')), { kernel: '6.1', secret: '[removed: a secret]' })
  assert.equal(read('b/log.jsonl'), '{"msg":"one"}\ntwo\n')
  assert.equal(read('e/hangs.jsonl'), 'before\n')
  const manifest = JSON.parse(read('manifest.json'))
  assert.partialDeepStrictEqual(manifest, { kind: 'host', name: 'host-a', takenBy: 'kim', productVersion: '1.2.3' })
  const cuts = manifest.files.map(({ cut }: { cut: string | null }) => cut)
  assert.deepEqual(cuts.slice(0, 2), [null, null])
  assert.match(cuts[2], /longer than 1000 bytes/)
  assert.match(cuts[3], /no such thing: password=\[removed/)
  assert.match(cuts[4], /longer than 100 ms/)
  assert.equal(cuts[5], null)
  assert.match(cuts[6], /longer than \d+ bytes/)
})

test('whoever stops reading stops what writes', async () => {
  let ended = false
  const endless = part('log.txt', async function* () {
    try {
      for (;;) yield randomBytes(300).toString('latin1')
    } finally {
      ended = true
    }
  })
  const many = Array.from({ length: 20 }, () => endless)
  for await (const chunk of writeBundle(subject, many, new Redactor())) {
    if (chunk.length > 0) break
  }
  assert.ok(ended)
})

test('sealed to a host key it opens with that key alone, and not when any of it was changed', async () => {
  using hostKey = Secret.random(32)
  using other = Secret.random(32)
  const identity = { host: 'host-a', key: { provider: 'kms', keyId: '7' }, createdAt: '2026-11-24T19:00:00.000Z' }
  const content = randomBytes(1_500_000)
  const { publicKey } = hostKeyPairOf(hostKey)
  const chunks = async function* () {
    yield content
  }
  const sealed = await buffer(sealBundle(identity, publicKey, chunks()))
  const open = async (bytes: Buffer, key: Secret, chunkBytes = 1000) => {
    const pieces = async function* () {
      for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes)
    }
    return await buffer(openSealed(pieces(), async (header) => openBundleKey(header, key)))
  }
  assert.ok((await open(sealed, hostKey)).equals(content))
  await assert.rejects(open(sealed, other), { code: 'wrong-key' })
  await assert.rejects(open(sealed.subarray(0, -1), hostKey))
  assert.ok((await open(sealed, hostKey, 100)).equals(content))
  const { line } = parseSealedHeader(sealed)
  for (let index = 0; index < line.length; index++) {
    const changed = Buffer.from(sealed)
    changed[index] = (changed[index] ?? 0) ^ 1
    await assert.rejects(open(changed, hostKey), SupportBundleError, `byte ${index}`)
  }
})
