import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { erasureStatementType } from '@cryptvisor/control-plane-api'
import { CertificateAuthority, signStatement } from '@cryptvisor/pki'
import { openDesk } from '../testing/desk.ts'
import { cannedCertificate, cannedErasure } from '../testing/fake-key-routes.ts'

test('a certificate is verified without the control plane, and every change of it is found', async (context) => {
  const { desk, fake } = await openDesk(context)
  const { authority, privateKey } = await CertificateAuthority.create('CA', 10, () => new Date())
  privateKey[Symbol.dispose]()
  using signer = await authority.issue({ commonName: 'signer', usages: ['document-signing'], validDays: 1 })
  const statement = signStatement(signer, authority.certificate, erasureStatementType, cannedCertificate)
  const file = desk.file('db1.jws.json', statement)
  const ca = desk.file('ca.pem', authority.certificate)
  const good = await desk.run(['vm', 'erase-certificate', 'verify', file, '--ca', ca])
  assert.equal(good.exitCode, 0, good.stderr)
  assert.match(good.stdout, /kms\/kek-1: .*the provider says: Destroyed/)
  assert.match(good.stdout, /What this does not reach\n {2}- Backups of the key server\./)
  assert.match(good.stdout, /verified: signed by/)
  assert.ok(!good.stdout.includes('\u001b'))
  assert.deepEqual(fake.calls, [], 'nobody was asked')

  const { payload } = JSON.parse(statement) as { payload: string }
  const forged = Buffer.from(payload, 'base64url').toString('utf8').replace('"absent"', '"confirmed"')
  const changed = desk.file('changed', statement.replace(payload, Buffer.from(forged).toString('base64url')))
  for (const [args, text] of [
    [[changed, '--ca', ca], /changed after it was signed/],
    [[file], /not from this CA/],
    [[desk.file('empty', ''), '--ca', ca], /no JSON Web Signature/],
    [[desk.file('other', '{"a":1}'), '--ca', ca], /no JSON Web Signature/],
  ] as const) {
    const { exitCode, stdout, stderr } = await desk.run(['vm', 'erase-certificate', 'verify', ...args])
    assert.equal(exitCode, 1, stderr)
    assert.equal(stdout, '')
    assert.match(stderr, text)
  }
})

test('the lines of docs/keys.md check a certificate by openssl and jq alone, and find a change', async (context) => {
  const { desk } = await openDesk(context)
  const { authority, privateKey } = await CertificateAuthority.create('CA', 10, () => new Date())
  privateKey[Symbol.dispose]()
  using signer = await authority.issue({ commonName: 'signer', usages: ['document-signing'], validDays: 1 })
  const statement = signStatement(signer, authority.certificate, erasureStatementType, cannedCertificate)
  desk.file('ca.pem', authority.certificate)
  const docs = readFileSync(fileURLToPath(new URL('../../../../docs/keys.md', import.meta.url)), 'utf8')
  const lines = /```sh\n(bytes\(\)[\s\S]*?)```/.exec(docs)?.[1]
  assert.ok(lines)
  const check = (web: string) => {
    desk.file('web.jws.json', web)
    return spawnSync('sh', ['-euc', lines], { cwd: desk.folder, encoding: 'utf8' })
  }
  const good = check(statement)
  assert.equal(good.status, 0, good.stderr)
  assert.match(good.stdout, /signer\.pem: OK[\s\S]*1\.3\.6\.1\.5\.5\.7\.3\.36[\s\S]*Verified OK[\s\S]*"absent"/)
  const { payload } = JSON.parse(statement) as { payload: string }
  const forged = Buffer.from(payload, 'base64url').toString('utf8').replace('"absent"', '"confirmed"')
  const bad = check(statement.replace(payload, Buffer.from(forged).toString('base64url')))
  assert.notEqual(bad.status, 0)
  assert.doesNotMatch(bad.stdout, /Verified OK/)
})

test('a certificate is written as text, page, JSON or statement; nothing in a name becomes markup', async (context) => {
  const { desk } = await openDesk(context)
  cannedErasure.statement = '{"payload":"<x>"}'
  for (const [format, expected] of [
    ['text', /^Certificate of erasure\n/],
    ['html', /<td>db1&#60;script&#62;/],
    ['json', /"format": "cryptvisor\/erasure-certificate\/1"/],
    ['jws', /^\{"payload":"<x>"\}$/],
  ] as const) {
    const out = join(desk.folder, `db1.${format}`)
    const { exitCode, stderr } = await desk.run([
      'vm',
      'erase-certificate',
      'show',
      'db1',
      '--format',
      format,
      '--out',
      out,
    ])
    assert.equal(exitCode, 0, stderr)
    const text = readFileSync(out, 'utf8')
    assert.match(text, expected)
    if (format === 'html') assert.doesNotMatch(text, /<script|<x>/)
    assert.equal(
      (await desk.run(['vm', 'erase-certificate', 'show', 'db1', '--out', out])).exitCode,
      2,
      'nothing is overwritten',
    )
  }
})
