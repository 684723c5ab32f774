import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { HostKeyPersistence, RebootCheckList } from '@cryptvisor/control-plane-api'
import { TestTpm } from '@cryptvisor/testkit'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest } from './lab-under-test.ts'

/** Says where a host's TPM is, as its administrator does: in the agent's configuration, before a start of it. */
async function giveTpm(lab: LabUnderTest, host: 'host-a' | 'host-b', tcti: string): Promise<void> {
  await lab.lab.stop(host)
  const path = lab.path(`${host}/config.json`)
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
  writeFileSync(path, JSON.stringify({ ...config, tpm: { tcti } }))
  await lab.lab.start(host)
  await eventually(`${host} to come again`, async () => {
    const { connection } = await lab.json<{ connection: string }>('host', 'show', host)
    return connection === 'connected' ? true : null
  })
}

test('a host that keeps its keys in its TPM: reboot with the key server and the control plane down, VMs unlock; it is off by default, refused without a TPM, and erased when switched off', async (context) => {
  const lab = await LabUnderTest.start(context)
  const image = lab.path('db1.img')
  makeRawImage(image, 1_048_576, knownText())
  await lab.json('vm', 'import', 'db1', '--disk', image)
  await lab.json('vm', 'encrypt', 'db1')
  const { host } = await lab.vm('db1')
  assert.ok(host === 'host-a' || host === 'host-b')
  const other = host === 'host-a' ? 'host-b' : 'host-a'
  const tpm = await TestTpm.start(context)
  await Promise.all([giveTpm(lab, host, tpm.tcti), giveTpm(lab, other, 'swtpm:path=/nonexistent/tpm.sock')])

  const refused = await lab.cryptvisor('host', 'key-persistence', 'enable', other)
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /no TPM 2\.0 answers .*give it one/)
  const tried = await lab.cryptvisor('host', 'key-persistence', 'enable', host, '--dry-run')
  assert.equal(tried.exitCode, 0, tried.stderr)
  assert.match((await lab.cryptvisor('host', 'show', host)).stdout, /key persistence: +off/)
  const enabled = await lab.json<HostKeyPersistence>('host', 'key-persistence', 'enable', host, '--keep-days', '14')
  assert.partialDeepStrictEqual(enabled, { keepDays: 14, onHost: { isOn: true, keyCount: 2, tpmProblem: null } })
  const shown = (await lab.cryptvisor('host', 'show', host)).stdout
  for (const line of [
    /key persistence: +on since .* for 14 days/,
    /kept keys: +2, until/,
    /TPM 2\.0: +there/,
    /memory: swap/,
  ]) {
    assert.match(shown, line)
  }
  assert.match((await lab.cryptvisor('host', 'show', other)).stdout, /key persistence: +off\n.*kept keys: +none/s)

  await lab.lab.stop('key-server')
  const check = JSON.parse((await lab.cryptvisor('host', 'check-reboot', host, '--json')).stdout) as RebootCheckList
  assert.partialDeepStrictEqual(check.checks[0], { wouldLock: [], kept: { keyCount: 2 } })
  await lab.lab.stop('control-plane')
  await lab.lab.stop(host)
  await tpm.restart()
  await lab.lab.start(host)
  await lab.lab.start('control-plane')
  await eventually('the VM to be unlocked', async () => ((await lab.vm('db1')).lock.state === 'unlocked' ? true : null))

  // Without it the same restart locks the VM.
  const disabled = await lab.json<HostKeyPersistence>('host', 'key-persistence', 'disable', host)
  assert.partialDeepStrictEqual(disabled, {
    keepDays: null,
    mayKeepDays: null,
    onHost: { isOn: false, keyCount: null },
  })
  await lab.lab.stop(host)
  await lab.lab.start(host)
  await eventually('the VM to be locked', async () => ((await lab.vm('db1')).lock.state === 'locked' ? true : null))
  await lab.lab.start('key-server')
  await eventually('the VM to be unlocked', async () => ((await lab.vm('db1')).lock.state === 'unlocked' ? true : null))
})
