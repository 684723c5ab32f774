import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { type NamedKek, wrapDek } from './key-record.ts'
import { diskHeader, homeHeader, namedKek } from './testing/records.ts'

/** Opens a record with Debian's `jose`: the record on standard input, the KEK as a JWK through a pipe of its own. */
async function josePlaintext(record: string, { kek }: NamedKek): Promise<Secret> {
  // `jose` opens its key by name, for which Node's socket pairs are no good; the shell turns descriptor 3 into a pipe.
  const script = 'cat <&3 | { exec 4<&0; exec 0<&5 5<&-; jose jwe dec -i - -k /dev/fd/4; }'
  const child = spawn('sh', ['-c', `exec 5<&0; ${script}`], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })
  const closed = new Promise((resolve) => child.once('close', resolve))
  const keyPipe = child.stdio[3]
  assert.ok(keyPipe !== null && keyPipe !== undefined && 'end' in keyPipe)
  keyPipe.end(
    kek.expose((bytes) => JSON.stringify({ kty: 'oct', alg: 'A256KW', k: Buffer.from(bytes).toString('base64url') })),
  )
  child.stdin.end(record)
  const [plaintext, errors] = await Promise.all([buffer(child.stdout), buffer(child.stderr)])
  assert.equal(await closed, 0, errors.toString())
  return Secret.from(plaintext)
}

for (const header of [diskHeader, homeHeader]) {
  test(`Debian's jose opens a ${header.kind} record with any of its KEKs`, async () => {
    const keks = [namedKek('kms/1'), namedKek('kms/2')]
    using dek = Secret.random(32)
    for (const recipients of [keks.slice(0, 1), keks]) {
      const record = await wrapDek({ dek, keks: recipients, header })
      for (const named of recipients) {
        using plaintext = await josePlaintext(record, named)
        assert.ok(plaintext.equal(dek))
      }
      await assert.rejects(josePlaintext(record, namedKek('kms/1')))
    }
  })
}
