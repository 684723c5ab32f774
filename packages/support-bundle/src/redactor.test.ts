import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { formsOf, holdsTrace } from '@cryptvisor/testkit'
import fc from 'fast-check'
import { Redactor } from './redactor.ts'

/** The forms of a key that can lie in a text: all but the raw one. */
const textForms = (key: Uint8Array) => formsOf(key).slice(1).map(String)

test('a key is taken out of any text, whatever stands around it and in every form', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((key) => new Set(key).size > 24),
      fc.constantFrom('', 'key ', '{"a":"', 'x=', '/tmp/', 'volume key of disk 1: ', '\n', '"', '.', 'öl '),
      fc.constantFrom('', ' ', '"}', '\n', '/x', ' is it', ',', '='),
      (key, before, after) => {
        for (const form of textForms(key)) {
          const text = new Redactor().text(`${before}${form}${after}`)
          assert.ok(!holdsTrace(Buffer.from(text), key), text)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('the scan itself finds each of these forms where nothing takes them out', () => {
  const key = randomBytes(32)
  for (const form of textForms(key)) assert.ok(holdsTrace(Buffer.from(`before ${form} after`), key))
})

test('private keys, passwords and tokens are taken out of texts and of lines of a log', () => {
  const { privateKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const body = privateKey.split('\n')[1] ?? ''
  const redactor = new Redactor()
  const texts = [
    redactor.text(`it says ${privateKey} there`),
    redactor.text(privateKey.slice(0, -30)),
    redactor.line(JSON.stringify({ msg: privateKey })),
    redactor.line(JSON.stringify({ msg: 'x', err: { stack: `Error\n${privateKey}` } })),
  ]
  for (const text of texts) assert.ok(!text.includes(body.slice(0, 20)), text)
  for (const line of [
    'login with password=hunter2-horse failed',
    'password: "hunter2-horse"',
    "{'passphrase': 'hunter2-horse'}",
    'Authorization: Bearer hunter2-horse',
    'curl -H "authorization: basic hunter2-horse"',
    'bearer hunter2-horse is not good',
    'https://admin:hunter2-horse@kms.example/x',
    '{"level":30,"password":"hunter2-horse"}',
    '{"a":{"clientSecret":{"value":"hunter2-horse"}}}',
    '{"tokens":["hunter2-horse"]}',
    '{"msg":"the adminPassword=hunter2-horse"}',
    '{"password":"hunter2-horse", cut',
  ]) {
    assert.ok(!redactor.line(line).includes('hunter2-horse'), redactor.line(line))
  }
})

test('bytes in JSON are taken out as lists, as objects and as views', () => {
  const key = randomBytes(32)
  const value = { list: [...key], buffer: key.toJSON(), object: { ...new Uint8Array(key) }, view: key }
  const text = JSON.stringify(new Redactor().value(value))
  assert.deepEqual(JSON.parse(text), {
    list: '[removed: 32 bytes]',
    buffer: { type: 'Buffer', data: '[removed: 32 bytes]' },
    object: '[removed: 32 bytes]',
    view: '[removed: 32 bytes]',
  })
})

test('what one looks for in a bundle stays: names, paths, times, IDs, and what is to be kept', () => {
  const redactor = new Redactor()
  const keyId = randomBytes(32).toString('hex')
  const otherId = `${randomBytes(24).toString('base64url')}AbCdEfGhIj`
  redactor.keep(keyId, otherId, 'password=none')
  for (const text of [
    '/var/lib/cryptvisor/datastores/ssd-1/web-server-production-2026/0190c2d4-1111-7222-8333-444455556666.luks',
    '0190c2d4-1111-7222-8333-444455556666',
    'host.crypto.send-key-error at 2026-11-24T19:20:00.000Z',
    'QEMU emulator version 7.2.17 (Debian 1:7.2+dfsg-7+deb12u14)',
    'operation failed: cannot write /mnt/a-very-long-name-of-a-folder-with-many-words/and-another-one/file',
    `key kms/${keyId} is held`,
    `key kms/${otherId} is held`,
    'password=none',
    'keysHeldCount: 4, passwordless: no',
  ]) {
    assert.equal(redactor.text(text), text)
  }
  assert.deepEqual(redactor.value({ tokens: 4, hasPassword: true, pinned: null }), {
    tokens: 4,
    hasPassword: true,
    pinned: null,
  })
})

test('what is taken out twice has one number, which says that it was the same', () => {
  const redactor = new Redactor()
  const [one, other] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  assert.equal(
    redactor.text(`${one} ${other} ${one}`),
    '[removed: 64 hex digits, no. 1] [removed: 64 hex digits, no. 2] [removed: 64 hex digits, no. 1]',
  )
  assert.equal(redactor.removedCount, 3)
})

test('no value makes it fail or hang', () => {
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  new Redactor().value(cycle)
  fc.assert(fc.property(fc.jsonValue(), (value) => void JSON.stringify(new Redactor().value(value))))
  fc.assert(fc.property(fc.string(), (text) => void new Redactor().line(text)))
  for (const text of [
    'A'.repeat(1_000_000),
    '0'.repeat(1_000_000),
    'password='.repeat(50_000),
    '-----BEGIN '.repeat(50_000),
  ]) {
    new Redactor().text(text)
  }
})
