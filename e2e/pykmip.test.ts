import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { test } from 'node:test'
import type { KeyProviderStatus } from '@cryptvisor/control-plane-api'
import { PykmipServer } from '@cryptvisor/testkit'
import { knownText, makeRawImage } from './image.ts'
import { LabUnderTest, sha256, succeed } from './lab-under-test.ts'

const mib = 1_048_576

test('a control plane whose key provider is PyKMIP: labels are refused with a warning, all else works', async (context) => {
  const lab = await LabUnderTest.start(context)
  const folder = lab.path('pykmip')
  mkdirSync(folder)
  await using pykmip = await PykmipServer.start(folder)
  const { port, files } = pykmip
  await lab.json(
    'key-provider',
    'add',
    'pykmip',
    '--server',
    `127.0.0.1:${port}`,
    '--server-ca',
    files.ca,
    '--client-cert',
    files.certificate,
    '--client-key',
    files.key,
  )
  const status = await lab.json<KeyProviderStatus>('key-provider', 'status', 'pykmip')
  assert.notEqual(status.health, 'red', status.text)

  const image = lab.path('disk.img')
  makeRawImage(image, 4 * mib, knownText())
  const sum = await sha256(image)
  await lab.json('vm', 'import', 'web', '--disk', image)
  await lab.json('vm', 'encrypt', 'web', '--key-provider', 'pykmip')
  const vm = await lab.vm('web')
  assert.equal(vm.encryption, 'encrypted')
  assert.equal(vm.home.key?.provider, 'pykmip')
  const refused = await lab.events('--type', 'kms.crypto.labels-refused')
  const ours = refused.filter(({ keyId }) => keyId === vm.home.key?.keyId)
  assert.ok(ours.length > 0, 'a warning names the key')
  for (const event of ours) assert.deepEqual([event.severity, event.provider, event.vm], ['warning', 'pykmip', 'web'])
  assert.deepEqual(await lab.events('--type', 'vm.crypto.failed'), [])

  await lab.lab.stop('host-a')
  await lab.lab.stop('host-b')
  await lab.lab.start('host-a')
  await lab.lab.start('host-b')
  await lab.json('vm', 'unlock', 'web')
  await lab.json('vm', 'decrypt', 'web')
  assert.equal(await sha256((await lab.vm('web')).disks[0]?.path ?? ''), sum)
})

/** What an independent client does with our key server, for one version of the protocol. */
const script = `
import sys, warnings
warnings.simplefilter("ignore")
from kmip.pie.client import ProxyKmipClient
from kmip.pie import objects
from kmip.core import enums
from kmip.core.factories.attributes import AttributeFactory
host, port, ca, cert, key, version = sys.argv[1:]
with ProxyKmipClient(hostname=host, port=int(port), cert=cert, key=key, ca=ca, ssl_version="PROTOCOL_TLSv1_2",
                     kmip_version=getattr(enums.KMIPVersion, version)) as client:
    name = "e2e " + version
    key_id = client.create(enums.CryptographicAlgorithm.AES, 256, name=name)
    assert client.get_attributes(key_id, ["State"])[1][0].attribute_value.value == enums.State.PRE_ACTIVE
    client.activate(key_id)
    assert client.get_attributes(key_id, ["State"])[1][0].attribute_value.value == enums.State.ACTIVE
    value = client.get(key_id)
    assert len(value.value) == 32 and value.cryptographic_length == 256
    assert client.get(key_id).value == value.value
    names = client.get_attribute_list(key_id)
    assert "Cryptographic Length" in names and "State" in names, names
    named = lambda text: client.locate(attributes=[AttributeFactory().create_attribute(enums.AttributeType.NAME, text)])
    assert named(name) == [key_id], named(name)
    assert named("no such name") == [], named("no such name")
    secret_id = client.register(objects.SecretData(b"a password of somebody", enums.SecretDataType.PASSWORD))
    assert client.get(secret_id).value == b"a password of somebody"
    own = bytes(range(32))
    own_id = client.register(objects.SymmetricKey(enums.CryptographicAlgorithm.AES, 256, own))
    assert client.get(own_id).value == own
    try:
        client.destroy(key_id)
        raise SystemExit("an Active key was destroyed")
    except Exception as error:
        assert "PERMISSION_DENIED" in str(error.reason), error
    client.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, key_id)
    client.destroy(key_id)
    try:
        client.get(key_id)
        raise SystemExit("a destroyed key was given")
    except Exception as error:
        assert hasattr(error, "reason"), error
    client.destroy(secret_id)
    client.destroy(own_id)
print("ok")
`

test('PyKMIP’s client agrees with our key server', async (context) => {
  const lab = await LabUnderTest.start(context)
  const { host, port, ca, clientCert, clientKey } = lab.description.keyServer
  for (const version of ['KMIP_1_0', 'KMIP_1_1', 'KMIP_1_2', 'KMIP_1_3', 'KMIP_1_4']) {
    await context.test(version, async () => {
      const output = await succeed(
        '/usr/bin/python3',
        ['-', host, String(port), ca, clientCert, clientKey, version],
        script,
      )
      assert.equal(output.trim(), 'ok')
    })
  }
})
