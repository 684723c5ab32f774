import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { readSecretStore, secretStoreSizeMax, writeSecretStore } from './secret-store.ts'

const rounds = 1000
const secretOf = (text: string) => Secret.from(new TextEncoder().encode(text))

function hexOf(secret: Secret): string {
  return secret.expose((bytes) => Buffer.from(bytes).toString('hex'))
}

/** What openssl says of a file, on both its outputs. The password comes through a pipe. */
function openssl(file: Uint8Array, password: string): string {
  const command = 'openssl pkcs12 -info -noenc -in <(base64 -d <<<"$0") -passin stdin'
  const { stdout, stderr } = spawnSync('bash', ['-c', command, Buffer.from(file).toString('base64')], {
    input: `${password}\n`,
    encoding: 'utf8',
  })
  return stderr + stdout
}

test('openssl opens it and shows the secrets by name', async () => {
  for (const text of ['correct horse battery', 'Füße über 𝄞 Pässe']) {
    using password = secretOf(text)
    using one = Secret.random(32)
    using two = Secret.random(32)
    const entries = [
      { name: 'first/1', secret: one },
      { name: 'second/2', secret: two },
    ]
    const shown = openssl(await writeSecretStore(entries, password), text)
    assert.match(shown, /MAC: sha256, Iteration 600000/)
    assert.match(shown, /PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256/)
    for (const { name, secret } of entries) {
      const bytes = (hexOf(secret).match(/../g) ?? []).join(' ').toUpperCase()
      assert.match(shown, new RegExp(`friendlyName: ${name}\\n${bytes}`))
    }
  }
})

test('openssl refuses another password', async () => {
  using password = secretOf('correct horse battery')
  using secret = Secret.random(32)
  const file = await writeSecretStore([{ name: 'a', secret }], password, rounds)
  assert.match(openssl(file, 'correct horse batterz'), /Mac verify error/)
})

test('what was written is read, with the password alone', async () => {
  using password = secretOf('correct horse battery')
  using other = secretOf('correct horse batterY')
  using one = Secret.random(32)
  const file = await writeSecretStore([{ name: 'nkp/1', secret: one }], password, rounds)
  const entries = await readSecretStore(file, password)
  assert.deepEqual(
    entries.map(({ name, secret }) => [name, hexOf(secret)]),
    [['nkp/1', hexOf(one)]],
  )
  await assert.rejects(readSecretStore(file, other), { code: 'wrong-password' })
})

test('a file that was damaged anywhere is refused, and nothing crashes', async () => {
  using password = secretOf('correct horse battery')
  using one = Secret.random(32)
  const file = await writeSecretStore([{ name: 'nkp/1', secret: one }], password, 3)
  for (let index = 0; index < file.length; index++) {
    for (const bit of [0x01, 0x80]) {
      const damaged = Uint8Array.from(file)
      damaged[index] = (damaged[index] ?? 0) ^ bit
      await assert.rejects(readSecretStore(damaged, password), { name: 'PkiError' }, `byte ${index}`)
    }
  }
  for (const wrong of [new Uint8Array(), file.subarray(0, 100), Buffer.concat([file, Buffer.of(0)])]) {
    await assert.rejects(readSecretStore(wrong, password), { code: 'bad-pkcs12' })
  }
  await assert.rejects(readSecretStore(new Uint8Array(secretStoreSizeMax + 1), password), { code: 'bad-pkcs12' })
})

test('a password that is no text is refused', async () => {
  for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf4, 0x90, 0x80, 0x80]]) {
    using password = Secret.from(Uint8Array.from(bytes))
    await assert.rejects(writeSecretStore([], password, rounds), { code: 'bad-password' })
  }
})
