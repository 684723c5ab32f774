import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { test } from 'node:test'
import { getPassphrase } from './passphrase.ts'
import type { Surroundings } from './surroundings.ts'

/** What is typed on a terminal, and what that was told and showed. */
async function type(...keys: readonly (string | Uint8Array)[]) {
  const modes: boolean[] = []
  let shown = ''
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (raw: boolean) => void modes.push(raw) })
  const stderr = new Writable({
    write: (chunk, _encoding, done) => {
      shown += String(chunk)
      done()
    },
  })
  for (const key of keys) stdin.write(key)
  // Nothing else of the surroundings is used.
  const surroundings = { stdin, stderr } as unknown as Surroundings
  try {
    using secret = await getPassphrase(undefined, surroundings, 'Passphrase: ')
    return { text: secret.expose((bytes) => Buffer.from(bytes).toString()), modes, shown }
  } finally {
    assert.deepEqual(modes, [true, false], 'the terminal is as it was')
    assert.equal(shown, 'Passphrase: \n', 'and showed nothing')
  }
}

test('a passphrase is one line that is typed', async () => {
  assert.equal((await type('open ', 'sesame\r', 'more')).text, 'open sesame')
  assert.equal((await type('löschäx\u007f\u007fen\n')).text, 'löschen', 'whole characters are taken off')
  assert.equal((await type('\u007fa\r')).text, 'a')
})

test('nothing, Ctrl-C and Ctrl-D give none', async () => {
  await assert.rejects(type('\r'), { code: 'bad-password' })
  await assert.rejects(type('abc\u0003'), { code: 'interrupted' })
  await assert.rejects(type('\u0004'), { code: 'interrupted' })
  await assert.rejects(type('x'.repeat(9000)), { code: 'bad-password' })
})
