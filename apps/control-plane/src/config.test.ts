import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { type Config, configPath, defaultKmip, labelsOf, readConfig, verificationOf, writeConfig } from './config.ts'

const good: Config = {
  version: 1,
  host: '127.0.0.1',
  port: 8443,
  hostsPort: 8444,
  rootKeyFile: '/keys/root.key',
  labels: 'cryptvisor',
  kmip: defaultKmip,
  logLevel: 'info',
}

test('what is written is read, by its owner only', async (context) => {
  const folder = temporaryFolder(context)
  await assert.rejects(readConfig(folder), { code: 'not-set-up', message: /run «control-plane init/ })
  await writeConfig(folder, good)
  assert.deepEqual(await readConfig(folder), good)
  assert.equal(statSync(configPath(folder)).mode & 0o777, 0o600)
})

test('a wrong configuration is refused by its field', async (context) => {
  const folder = temporaryFolder(context)
  const path = configPath(folder)
  const refused = async (text: string, message: RegExp) => {
    writeFileSync(path, text, { mode: 0o600 })
    await assert.rejects(readConfig(folder), { code: 'bad-config', message }, text.slice(0, 80))
  }
  for (const [wrong, message] of [
    [{ port: '8443' }, /config\.json: port: /],
    [{ port: 0 }, /: port: /],
    [{ port: undefined }, /: port: is missing/],
    [{ hostsPort: 8443 }, /: hostsPort: expected another port/],
    [{ rootKeyFile: 'relative' }, /: rootKeyFile: /],
    [{ labels: 'none' }, /: labels/],
    [{ labels: { vendor: 'x' } }, /: labels/],
    [{ kmip: { connectTimeoutMs: 1, requestTimeoutMs: 1000 } }, /: kmip\.connectTimeoutMs: /],
    [{ logLevel: 'trace' }, /: logLevel/],
    [{ security: { sessionIdleMinutes: 0 } }, /: security\.sessionIdleMinutes/],
    [{ security: { sessionIdleMinutes: 721 } }, /: security\.sessionIdleMinutes/],
    [{ colour: 'red' }, /: colour: there is no such field/],
    [{ version: 2 }, /: version: /],
  ] as const) {
    await refused(JSON.stringify({ ...good, ...wrong }), message)
    await refused(JSON.stringify({ ...good, ...wrong }), /Correct it \(docs\/configuration\.md/)
  }
  await refused('{', /is not JSON: .*position 1.*Correct it/)
  await refused('null', /config\.json/)
  await refused(' '.repeat(65_537), /more than 65536 bytes/)
})

test('a configuration that others may write is not believed', async (context) => {
  const folder = temporaryFolder(context)
  await writeConfig(folder, good)
  for (const mode of [0o620, 0o602]) {
    chmodSync(configPath(folder), mode)
    await assert.rejects(readConfig(folder), { code: 'bad-config', message: /others may write it: chmod 600/ })
  }
  chmodSync(configPath(folder), 0o400)
  for (const mode of [0o710, 0o701]) {
    chmodSync(folder, mode)
    await assert.rejects(readConfig(folder), { code: 'bad-config', message: /others may enter it: chmod 700/ })
  }
  chmodSync(folder, 0o700)
  assert.equal((await readConfig(folder)).port, good.port)
  assert.ok(!readFileSync(configPath(folder), 'utf8').includes('password'))
  rmSync(configPath(folder))
  mkdirSync(configPath(folder))
  await assert.rejects(readConfig(folder), { code: 'bad-config', message: /cannot be read \(EISDIR\)|others may/ })
})

test('keys are labelled as the configuration says', () => {
  assert.deepEqual(labelsOf(good, '1.2'), { vendor: 'Cryptvisor', product: 'Cryptvisor', productVersion: '1.2' })
  assert.deepEqual(labelsOf({ ...good, labels: 'vsphere' }, '1.2'), {
    vendor: 'VMware, Inc.',
    product: 'VMware vSphere',
    productVersion: '1.2',
  })
  const own = { vendor: 'a', product: 'b' }
  assert.deepEqual(labelsOf({ ...good, labels: own }, '1.2'), { ...own, productVersion: '1.2' })
})

test('of how keys are read back, either setting alone is enough', async (context) => {
  const folder = temporaryFolder(context)
  const settings = async (keyVerification: Config['keyVerification']) => {
    await writeConfig(folder, { ...good, ...(keyVerification === undefined ? {} : { keyVerification }) })
    return verificationOf(await readConfig(folder))
  }
  assert.deepEqual(await settings(undefined), { everyMs: 21_600_000, atOnceMax: 4 })
  assert.deepEqual(await settings({ everyMinutes: 1 }), { everyMs: 60_000, atOnceMax: 4 })
  assert.deepEqual(await settings({ atOnceMax: 9 }), { everyMs: 21_600_000, atOnceMax: 9 })
})
