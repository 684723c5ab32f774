import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { KeyServerProcess } from './testing/key-server-process.ts'

/** Debian's own Python, which has python3-pykmip; another one may come first in the path. */
const python = '/usr/bin/python3'
const skip =
  spawnSync(python, ['-W', 'ignore', '-c', 'import kmip']).status === 0
    ? false
    : 'PyKMIP is not installed (apt install python3-pykmip)'

/** What an independent client does, in one version of the protocol. It ends with an error where something is not so. */
const script = `
import sys
from kmip import enums
from kmip.core.attributes import Name
from kmip.core.factories.attributes import AttributeFactory
from kmip.pie import exceptions, objects
from kmip.pie.client import ProxyKmipClient

port, folder, config, version = sys.argv[1:]
make = AttributeFactory().create_attribute

def name_of(text):
    return make(enums.AttributeType.NAME, Name.create(text, enums.NameType.UNINTERPRETED_TEXT_STRING))

def refused(reason, call, *arguments):
    try:
        call(*arguments)
    except exceptions.KmipOperationFailure as error:
        assert error.reason == reason, error
    else:
        raise SystemExit("was not refused")

with ProxyKmipClient(hostname="127.0.0.1", port=int(port), cert=folder + "/client.pem", key=folder + "/client.key",
                     ca=folder + "/ca.pem", ssl_version="PROTOCOL_TLSv1_2", config_file=config,
                     kmip_version=getattr(enums.KMIPVersion, version)) as client:
    def value_of(uid, name):
        _, found = client.get_attributes(uid, [name])
        return found[0].attribute_value.value if found else None

    uid = client.create(enums.CryptographicAlgorithm.AES, 256, name="key " + version)
    assert value_of(uid, "State") == enums.State.PRE_ACTIVE
    assert value_of(uid, "x-Vendor") is None
    client.activate(uid)
    assert value_of(uid, "State") == enums.State.ACTIVE
    refused(enums.ResultReason.PERMISSION_DENIED, client.activate, uid)
    key = client.get(uid)
    assert len(key.value) == 32 and key.cryptographic_length == 256
    assert key.cryptographic_algorithm == enums.CryptographicAlgorithm.AES
    assert client.get(uid).value == key.value

    # Everything at once: a client that stops at what it does not know would get nothing.
    _, attributes = client.get_attributes(uid)
    names = [attribute.attribute_name.value for attribute in attributes]
    for name in ["Unique Identifier", "Object Type", "Cryptographic Usage Mask", "State", "Activation Date", "Name"]:
        assert name in names, names
    assert value_of(uid, "Cryptographic Length") == 256
    listed = client.get_attribute_list(uid)
    assert set(names) <= set(listed) and "Digest" in listed, listed

    assert client.locate(attributes=[name_of("key " + version)]) == [uid]
    assert client.locate(attributes=[name_of("no such key")]) == []
    refused(enums.ResultReason.INVALID_FIELD, client.create, enums.CryptographicAlgorithm.AES, 256, None, "key " + version)

    material = bytes(range(16))
    own = client.register(objects.SymmetricKey(enums.CryptographicAlgorithm.AES, 128, material,
                                               masks=[enums.CryptographicUsageMask.ENCRYPT]))
    assert client.get(own).value == material
    password = client.register(objects.SecretData(b"a password", enums.SecretDataType.PASSWORD))
    assert client.get(password).value == b"a password"
    opaque = client.register(objects.OpaqueObject(b"anything", enums.OpaqueDataType.NONE))
    assert client.get(opaque).value == b"anything"

    refused(enums.ResultReason.PERMISSION_DENIED, client.destroy, uid)
    client.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, uid)
    assert value_of(uid, "State") == enums.State.DEACTIVATED
    _, attributes = client.get_attributes(uid)
    assert len(attributes) > 8
    for each in [uid, own, password, opaque]:
        client.destroy(each)
        refused(enums.ResultReason.ITEM_NOT_FOUND, client.get, each)
    assert value_of(uid, "State") == enums.State.DESTROYED
    refused(enums.ResultReason.ITEM_NOT_FOUND, client.get, "no such object")
print("done")
`

test('PyKMIP’s client, in every version that it speaks', { skip }, async (context) => {
  const server = await KeyServerProcess.create(context)
  const folder = await server.issueClient('pykmip')
  const config = join(server.folder, 'pykmip.conf')
  writeFileSync(config, '')
  await server.start()
  for (const version of ['KMIP_1_0', 'KMIP_1_1', 'KMIP_1_2', 'KMIP_1_3', 'KMIP_1_4']) {
    await context.test(version, async () => {
      const child = spawn(python, ['-W', 'ignore', '-', String(server.kmip.port), folder, config, version])
      child.stdin.end(script)
      const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
      assert.equal(child.exitCode, 0, complaint)
      assert.equal(output, 'done\n')
    })
  }
})
