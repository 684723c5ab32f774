import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { flattenedVerify } from 'jose'
import { CertificateAuthority, type Profile } from './authority.ts'
import { PkiError } from './pki-error.ts'
import { signStatement, verifyStatement } from './statement.ts'

const type = 'test+jws'
const payload = { what: 'erased', keys: ['one', 'two'] }

async function authority(): Promise<CertificateAuthority> {
  const made = await CertificateAuthority.create('CA', 10, () => new Date())
  made.privateKey[Symbol.dispose]()
  return made.authority
}

async function statementOf(
  ca: CertificateAuthority,
  usages: Profile['usages'] = ['document-signing'],
): Promise<string> {
  using signer = await ca.issue({ commonName: 'signer', usages, validDays: 1 })
  return signStatement(signer, ca.certificate, type, payload)
}

const refusal = (text: RegExp) => (error: unknown) =>
  error instanceof PkiError && error.code === 'bad-statement' && text.test(error.message)

/** DER of what is R and S side by side (RFC 7518, 3.4; SEC 1, C.5). */
function derSignature(raw: Buffer): Buffer {
  const integer = (bytes: Buffer) => {
    const trimmed = bytes.subarray(
      Math.max(
        0,
        bytes.findIndex((byte) => byte !== 0),
      ),
    )
    const body = ((trimmed[0] ?? 0) & 0x80) === 0 ? trimmed : Buffer.concat([Buffer.from([0]), trimmed])
    return Buffer.concat([Buffer.from([2, body.length]), body])
  }
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))])
  return Buffer.concat([Buffer.from([0x30, body.length]), body])
}

test('a statement says what was signed, and jose and openssl say so, too', async (context) => {
  const ca = await authority()
  const text = await statementOf(ca)
  assert.deepEqual(verifyStatement(text, ca.certificate, type).payload, payload)

  // Written by `signStatement`.
  const parts = JSON.parse(text) as { payload: string; protected: string; signature: string }
  const header = JSON.parse(Buffer.from(parts.protected, 'base64url').toString()) as { x5c: [string, string] }
  const signer = new X509Certificate(Buffer.from(header.x5c[0], 'base64'))
  const verified = await flattenedVerify(parts, signer.publicKey, { algorithms: ['ES256'] })
  assert.deepEqual(JSON.parse(Buffer.from(verified.payload).toString()), payload)
  assert.deepEqual(
    verifyStatement(`${parts.protected}.${parts.payload}.${parts.signature}\n`, ca.certificate, type).payload,
    payload,
  )

  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-statement-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const file = (name: string, content: string | Buffer) => {
    writeFileSync(join(folder, name), content)
    return join(folder, name)
  }
  const openssl = (...args: string[]) => execFileSync('openssl', args, { encoding: 'utf8', stdio: 'pipe' })
  const leaf = file('signer.pem', signer.toString())
  assert.match(openssl('verify', '-CAfile', file('ca.pem', ca.certificate), leaf), /OK/)
  const key = file('key.pem', openssl('x509', '-in', leaf, '-noout', '-pubkey'))
  const signature = file('signature', derSignature(Buffer.from(parts.signature, 'base64url')))
  const signed = file('signed', `${parts.protected}.${parts.payload}`)
  assert.match(openssl('dgst', '-sha256', '-verify', key, '-signature', signature, signed), /Verified OK/)
})

test('nobody but a signer of documents under this CA signs statements', async () => {
  const ca = await authority()
  const text = await statementOf(ca)
  assert.throws(() => verifyStatement(text, ca.certificate, 'other+jws'), refusal(/not a other\+jws/))
  const host = await statementOf(ca, ['server', 'client'])
  assert.throws(() => verifyStatement(host, ca.certificate, type), refusal(/not for signing documents/))
  const stranger = await authority()
  assert.throws(() => verifyStatement(text, stranger.certificate, type), refusal(/not from this CA/))
})

test('a statement of which one character was changed is refused', async () => {
  const ca = await authority()
  const { payload: body, protected: header, signature } = JSON.parse(await statementOf(ca)) as Record<string, string>
  const parts = { body: body ?? '', header: header ?? '', signature: signature ?? '' }
  for (const name of ['body', 'header', 'signature'] as const) {
    const whole = parts[name]
    // The last digit of a base64 text may stand for unused bits.
    for (let at = 0; at < whole.length - 1; at += 7) {
      const other = whole[at] === 'A' ? 'B' : 'A'
      const changed = { ...parts, [name]: whole.slice(0, at) + other + whole.slice(at + 1) }
      const text = `${changed.header}.${changed.body}.${changed.signature}`
      assert.throws(() => verifyStatement(text, ca.certificate, type), refusal(/./), `${name} at ${at}`)
    }
  }
})
