import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { ClientTrust, KeyProviderDetail, KeyProviderStatus } from '@cryptvisor/control-plane-api'
import { PykmipServer, pykmipSkip, temporaryFolder } from '@cryptvisor/testkit'
import { knownText, makeRawImage } from './image.ts'
import { LabUnderTest } from './lab-under-test.ts'

const mib = 1_048_576

test('a key server of another make, from the first look at its certificate to a VM that is encrypted with its key', {
  skip: pykmipSkip,
}, async (context) => {
  const lab = await LabUnderTest.start(context)
  await using pykmip = await PykmipServer.start(temporaryFolder(context))
  const server = `${pykmip.options.host}:${pykmip.port}`

  await context.test('its certificate is shown, and it is not added before somebody says yes', async () => {
    const { exitCode, stderr } = await lab.cryptvisor('key-provider', 'add', 'second', '--server', server)
    assert.equal(exitCode, 2)
    assert.match(stderr, /subject: +CN=pykmip/)
    const accept = /--accept-fingerprint ([0-9a-f]{64})/.exec(stderr)?.[1] ?? ''
    const wrong = await lab.cryptvisor(
      ...['key-provider', 'add', 'second', '--server', server, '--accept-fingerprint', 'ab'.repeat(32)],
    )
    assert.equal(wrong.exitCode, 1)
    const dryRun = ['--dry-run', 'key-provider', 'add', 'second', '--server', server, '--accept-fingerprint', accept]
    assert.equal((await lab.cryptvisor(...dryRun)).exitCode, 0)
    assert.equal((await lab.cryptvisor('key-provider', 'show', 'second')).exitCode, 1, 'nothing was added')
    await lab.json('key-provider', 'add', 'second', '--server', server, '--accept-fingerprint', accept)
    const detail = await lab.json<KeyProviderDetail>('key-provider', 'show', 'second')
    assert.match(detail.missing ?? '', /key-provider trust --help/)
  })

  await context.test('its CA signs a request; what it signed for somebody else is refused', async () => {
    const request = lab.path('second.csr')
    await lab.json('key-provider', 'trust', 'csr', 'second', '--common-name', 'control-plane', '--out', request)
    const csr = readFileSync(request, 'utf8')
    const profile = { commonName: 'control-plane', usages: ['client'], validDays: 1 } as const
    const signed = lab.path('second.pem')
    using other = await pykmip.authority.issue(profile)
    writeFileSync(signed, other.certificate)
    const refused = await lab.cryptvisor('key-provider', 'trust', 'certificate', 'second', signed)
    assert.equal(refused.exitCode, 1)
    assert.match(refused.stderr, /not made of the request/)
    writeFileSync(signed, await pykmip.authority.signRequest(csr, profile))
    const trust = await lab.json<ClientTrust>('key-provider', 'trust', 'certificate', 'second', signed)
    assert.deepEqual([trust.active?.way, trust.prepared], ['csr', null])
    const status = await lab.json<KeyProviderStatus>('key-provider', 'status', 'second')
    // It takes no labels.
    assert.equal(status.health, 'yellow', status.text)
    const shown = await lab.cryptvisor('key-provider', 'show', 'second')
    assert.match(shown.stdout, /csr: the key server’s CA signed a request/)
  })

  await context.test('it is the default of a cluster, and a VM there gets its key', async () => {
    const cluster = ['--cluster', 'lab']
    await lab.json('key-provider', 'default', 'set', 'second', ...cluster)
    const image = lab.path('web.img')
    makeRawImage(image, 4 * mib, knownText())
    await lab.json('vm', 'import', 'web', '--disk', image)
    const choice = await lab.cryptvisor('key-provider', 'default', 'show', '--for', 'web')
    assert.match(choice.stdout, /^second: the default of cluster /)
    await lab.json('vm', 'encrypt', 'web')
    assert.equal((await lab.vm('web')).home.key?.provider, 'second')
    await lab.json('key-provider', 'default', 'clear', ...cluster)
    const after = await lab.cryptvisor('key-provider', 'default', 'show', '--for', 'web')
    assert.match(after.stdout, /^lab-kms: the default of the whole system/)
  })

  await context.test('its address and what people call it change, the VM’s key keeps its name', async () => {
    const key = (await lab.vm('web')).home.key
    await lab.json('key-provider', 'update', 'second', '--display-name', 'Vault in Zurich')
    await lab.json('key-provider', 'server', 'add', 'second', '127.0.0.1:1', '--by-ca', '--position', '1')
    await lab.json('key-provider', 'server', 'remove', 'second', '127.0.0.1:1')
    assert.deepEqual((await lab.vm('web')).home.key, key)
    await lab.json('vm', 'unlock', 'web')
    const removal = await lab.cryptvisor('key-provider', 'remove', 'second')
    assert.equal(removal.exitCode, 1)
    assert.match(removal.stderr, /VM web/)
  })

  await context.test('away: red, with server, cause and next step; and no default', async () => {
    await pykmip[Symbol.asyncDispose]()
    const asked = await lab.cryptvisor('key-provider', 'status', 'second', '--json')
    assert.equal(asked.exitCode, 1)
    const status = JSON.parse(asked.stdout) as KeyProviderStatus
    assert.equal(status.health, 'red')
    assert.ok(status.text.includes(server))
    assert.match(status.text, /nobody listens at that port; start the key server/)
    const refused = await lab.cryptvisor('key-provider', 'default', 'set', 'second')
    assert.notEqual(refused.exitCode, 0)
    assert.match(refused.stderr, /is not made the default, since its keys cannot be had now/)
    const events = await lab.events('--type', 'kms.crypto.connection-error')
    assert.ok(events.some(({ provider }) => provider === 'second'))
  })
})
