import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { deriveHpkeKeyPair, hpkeOpen, hpkeSeal, publicKeyOf, sharedSecret } from './hpke.ts'

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))
const binding = { info: Buffer.from('what it is for'), associatedData: Buffer.from('a header') }

test('key pairs and the shared secret are those of RFC 9180, A.1.1', () => {
  using senderMaterial = Secret.from(bytes('7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234'))
  using recipientMaterial = Secret.from(bytes('6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037'))
  const sender = deriveHpkeKeyPair(senderMaterial)
  const recipient = deriveHpkeKeyPair(recipientMaterial)
  const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
  assert.equal(hex(sender.publicKey), '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431')
  assert.equal(hex(recipient.publicKey), '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d')
  const wanted = 'fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc'
  for (const [own, peer] of [
    [sender.privateKey, recipient.publicKey],
    [recipient.privateKey, sender.publicKey],
  ] as const) {
    using shared = sharedSecret(own, publicKeyOf(peer), sender.publicKey, recipient.publicKey)
    assert.equal(shared.expose(hex), wanted)
  }
})

test('a message opens with its key and its binding, and with no others; no two are alike', () => {
  using material = Secret.random(32)
  using other = Secret.random(32)
  using plaintext = Secret.random(32)
  const pair = deriveHpkeKeyPair(material)
  const message = hpkeSeal(pair.publicKey, binding, plaintext)
  using opened = hpkeOpen(deriveHpkeKeyPair(material), binding, message)
  assert.ok(opened.equal(plaintext))
  assert.notDeepEqual(hpkeSeal(pair.publicKey, binding, plaintext).encapsulated, message.encapsulated)
  const refused = { name: 'CryptoError' }
  assert.throws(() => hpkeOpen(deriveHpkeKeyPair(other), binding, message), refused)
  assert.throws(() => hpkeOpen(pair, { ...binding, info: Buffer.from('another') }, message), refused)
  assert.throws(() => hpkeOpen(pair, { ...binding, associatedData: Buffer.from('another') }, message), refused)
  for (const name of ['encapsulated', 'ciphertext'] as const) {
    for (let index = 0; index < message[name].length; index++) {
      // Bit 7 of the last byte of a point does not count (RFC 7748, 5), so another one is turned.
      const changed = Uint8Array.from(message[name], (byte, at) => (at === index ? byte ^ 1 : byte))
      assert.throws(() => hpkeOpen(pair, binding, { ...message, [name]: changed }), refused, `${name} ${index}`)
    }
  }
  assert.throws(() => hpkeSeal(new Uint8Array(32), binding, plaintext), refused)
  assert.throws(() => hpkeSeal(new Uint8Array(31), binding, plaintext), refused)
})
