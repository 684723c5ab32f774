/**
 * A process of its own that hands a passphrase to a QEMU, for a test that looks into its memory. Its argument is the monitor's socket; what
 * it is to use comes on standard input: 32 bytes of master secret, then the passphrase. It says a word and waits for a byte, twice.
 */
import { readSync } from 'node:fs'
import { Secret } from '@cryptvisor/secret'
import { connectQmp } from '../connect-qmp.ts'
import { MasterSecret } from '../master-secret.ts'

const masterSizeBytes = 32
const passphraseSizeBytes = 64
const gcRounds = 3

function read(sizeBytes: number): Secret {
  const bytes = Buffer.allocUnsafeSlow(sizeBytes)
  for (let at = 0; at < sizeBytes; ) at += readSync(0, bytes, at, sizeBytes - at, null)
  return Secret.from(bytes)
}

/** Says `word` and waits until it may go on. */
function pauseAt(word: string): void {
  process.stdout.write(`${word}\n`)
  readSync(0, Buffer.alloc(1), 0, 1, null)
}

const [path = ''] = process.argv.slice(2)
const master = MasterSecret.of(read(masterSizeBytes))
const passphrase = read(passphraseSizeBytes)
using qmp = await connectQmp(path)
pauseAt('holds')
for (let count = 0; count < 20; count++) {
  await qmp.addSecret({ id: 'key', masterId: 'master' }, passphrase, master)
  await qmp.execute('object-del', { id: 'key' })
}
passphrase[Symbol.dispose]()
master[Symbol.dispose]()
// OpenSSL cleanses what a cipher held when the object is collected; what holds it is collected first.
for (let round = 0; round < gcRounds; round++) {
  globalThis.gc?.()
  await new Promise((resolve) => setImmediate(resolve))
}
pauseAt('used')
