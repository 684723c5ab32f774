import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createRequest as createCsr } from '@cryptvisor/pki'
import { temporaryFolder } from '@cryptvisor/testkit'
import { KeyServerProcess, runCommand } from './testing/key-server-process.ts'

test('what init makes belongs to its owner alone, and is made once', async (context) => {
  const server = await KeyServerProcess.create(context)
  for (const name of readdirSync(server.data)) {
    assert.equal(statSync(join(server.data, name)).mode & 0o077, 0, name)
  }
  assert.equal(statSync(server.rootKeyFile).mode & 0o777, 0o600)
  const before = readFileSync(join(server.data, 'ca.pem'))
  const again = await runCommand('init', '--dir', server.data, '--root-key-file', join(server.folder, 'another.key'))
  assert.notEqual(again.exitCode, 0)
  assert.match(again.complaint, /holds a key server already/)
  assert.deepEqual(readFileSync(join(server.data, 'ca.pem')), before)
  assert.ok(!existsSync(join(server.folder, 'another.key')))
})

test('a root key is never put with the data, and never replaced', async (context) => {
  const folder = temporaryFolder(context)
  const inside = await runCommand('init', '--dir', join(folder, 'd'), '--root-key-file', join(folder, 'd', 'root.key'))
  assert.match(inside.complaint, /must lie outside of/)
  assert.ok(!existsSync(join(folder, 'd')))
  const taken = join(folder, 'taken')
  writeFileSync(taken, 'something')
  const used = await runCommand('init', '--dir', join(folder, 'd'), '--root-key-file', taken)
  assert.match(used.complaint, /exists and is not replaced/)
  assert.equal(readFileSync(taken, 'utf8'), 'something')
})

test('a client that made its own key gets a certificate for it', async (context) => {
  const server = await KeyServerProcess.create(context)
  const { csr, privateKey } = await createCsr('whatever it says')
  using key = privateKey
  const csrFile = join(server.folder, 'request.pem')
  const out = join(server.folder, 'client')
  writeFileSync(csrFile, csr)
  await server.command('issue-client', 'own-key', '--out', out, '--csr', csrFile)
  assert.deepEqual(readdirSync(out).toSorted(), ['ca.pem', 'client.pem'])
  key.expose((bytes) => writeFileSync(join(out, 'client.key'), bytes, { mode: 0o600 }))
  await server.start()
  const { vendorIdentification } = await server.client(out).query({ queryFunction: ['QueryServerInformation'] })
  assert.match(vendorIdentification ?? '', /^Cryptvisor key server/)
})

test('wrong use says what is right', async (context) => {
  const folder = temporaryFolder(context)
  for (const [args, words] of [
    [[], /expected the command/],
    [['frobnicate'], /expected the command/],
    [['init'], /--dir is needed/],
    [['init', '--dir', folder, '--unknown'], /--unknown/],
    [['init', '--dir', folder, '--kmip-port', '70000'], /--kmip-port/],
    [['issue-client', '--dir', folder, '--out', folder], /NAME is needed/],
    [['init', '--dir', join(folder, 'new'), '--host-name', ''], /--host-name: "" is no address and no host name/],
    [['init', '--dir', join(folder, 'new'), '--host-name', 'x y'], /--host-name: "x y" is no address/],
    [['init', '--dir', join(folder, 'new'), '--listen', '1.2.3.4:5'], /--listen: "1\.2\.3\.4:5" is no address/],
  ] as const) {
    const { exitCode, complaint } = await runCommand(...args)
    assert.equal(exitCode, 2, args.join(' '))
    assert.match(complaint, words)
  }
  assert.deepEqual(readdirSync(folder), [], 'and nothing was made')
  const notSetUp = await runCommand('serve', '--dir', join(folder, 'nothing'))
  assert.equal(notSetUp.exitCode, 1)
  assert.match(notSetUp.complaint, /run «key-server init --dir .* first/)
})

test('the server’s certificate follows the host names of the configuration', async (context) => {
  const server = await KeyServerProcess.create(context)
  const identity = await server.issueClient('me')
  await server.start()
  const path = join(server.data, 'config.json')
  const text = readFileSync(path, 'utf8')
  const before = new X509Certificate(readFileSync(join(server.data, 'server.pem')))
  assert.equal(before.checkHost('kms.example.org'), undefined)
  await server.stop()
  writeFileSync(path, text.replace('"127.0.0.1"', '"127.0.0.1", "kms.example.org"'))
  await server.start()
  const after = new X509Certificate(readFileSync(join(server.data, 'server.pem')))
  assert.equal(after.checkHost('kms.example.org'), 'kms.example.org')
  await server.client(identity).query({ queryFunction: [] })
})

test('a folder whose config.json is missing is left alone', async (context) => {
  const server = await KeyServerProcess.create(context)
  rmSync(join(server.data, 'config.json'))
  const again = await runCommand('init', '--dir', server.data, '--root-key-file', server.rootKeyFile)
  assert.match(again.complaint, /has a database and no config\.json/)
  assert.ok(existsSync(server.rootKeyFile))
})

test('a configuration with a mistake is refused by name', async (context) => {
  const server = await KeyServerProcess.create(context)
  const path = join(server.data, 'config.json')
  const config: unknown = JSON.parse(readFileSync(path, 'utf8'))
  assert.ok(typeof config === 'object')
  writeFileSync(path, JSON.stringify({ ...config, kmipPort: 5696 }))
  await assert.rejects(server.start(), /kmipPort: there is no such field\. Correct it \(docs\/configuration\.md/)
  writeFileSync(path, '{')
  await assert.rejects(server.start(), /is not JSON/)
})

test('a file in the place of a folder, and an address of another machine, are named', async (context) => {
  const server = await KeyServerProcess.create(context)
  const file = join(server.folder, 'file')
  writeFileSync(file, 'something')
  for (const args of [
    ['init', '--dir', file, '--root-key-file', join(server.folder, 'another.key')],
    ['issue-client', '--dir', server.data, 'me', '--out', file],
  ]) {
    const { exitCode, complaint } = await runCommand(...args)
    assert.equal(exitCode, 1)
    assert.equal(complaint, `key-server: ${file} cannot be made a folder (EEXIST): name another one\n`)
  }
  const path = join(server.data, 'config.json')
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll('"address": "127.0.0.1"', '"address": "192.0.2.1"'))
  await assert.rejects(server.start(), /port 0 of 192\.0\.2\.1 cannot be had/)
})
