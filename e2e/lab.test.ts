import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { LabDescription } from '@cryptvisor/lab'
import { filesBelow } from '@cryptvisor/testkit'
import { run, succeed } from './lab-under-test.ts'

const runScript = fileURLToPath(new URL('../run', import.meta.url))

test('a lab comes up, stays the same, and stops', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-lab-'))
  const lab = (...args: readonly string[]) => succeed(runScript, ['lab', ...args, '--dir', folder])
  const up = async () => JSON.parse(await lab('up', '--json')) as LabDescription
  context.after(async () => {
    await lab('down')
    rmSync(folder, { recursive: true, force: true })
  })

  const first = await up()
  await context.test('its description is whole', () => {
    const { keyServer, controlPlane } = first
    const { ca, clientCert, clientKey, controlPlaneCert, controlPlaneKey, adminCert, adminKey } = keyServer
    for (const path of [
      ca,
      clientCert,
      clientKey,
      controlPlaneCert,
      controlPlaneKey,
      adminCert,
      adminKey,
      controlPlane.ca,
    ]) {
      assert.ok(isAbsolute(path), path)
      assert.match(readFileSync(path, 'latin1'), /^-----BEGIN /, path)
    }
    assert.match(keyServer.adminUrl, /^https:\/\/127\.0\.0\.1:\d+$/)
    assert.match(controlPlane.url, /^https:\/\/127\.0\.0\.1:\d+$/)
    assert.ok(controlPlane.user.length > 0 && controlPlane.password.length >= 12)
    assert.deepEqual(
      first.hosts.map(({ name }) => name),
      ['host-a', 'host-b'],
    )
    assert.ok(isAbsolute(first.datastore) && statSync(first.datastore).isDirectory())
    for (const pid of [first.pids.keyServer, first.pids.controlPlane, ...Object.values(first.pids.hosts)]) {
      assert.ok(statSync(`/proc/${pid}`).isDirectory())
    }
  })

  await context.test('only the owner can read what lies in it', async () => {
    for (const path of await filesBelow(folder)) {
      const mode = statSync(path).mode & 0o777
      assert.equal(mode & 0o077, 0, `${path} has mode ${mode.toString(8)}`)
    }
  })

  const cryptvisor = (...args: readonly string[]) =>
    succeed(runScript, ['cryptvisor', '--dir', folder, ...args, '--json'])
  const clusters = async () =>
    (JSON.parse(await cryptvisor('cluster', 'list')) as { name: string }[]).map(({ name }) => name).toSorted()
  await cryptvisor('cluster', 'add', 'another')

  await context.test('up again changes nothing', async () => {
    assert.deepEqual(await up(), first)
  })

  await context.test('what was killed is started again, with its ports and data', async () => {
    process.kill(first.pids.controlPlane ?? 0, 'SIGKILL')
    process.kill(first.pids.hosts['host-b'] ?? 0, 'SIGKILL')
    const again = await up()
    assert.notEqual(again.pids.controlPlane, first.pids.controlPlane)
    assert.notEqual(again.pids.hosts['host-b'], first.pids.hosts['host-b'])
    assert.equal(again.pids.keyServer, first.pids.keyServer)
    assert.deepEqual(again.controlPlane, first.controlPlane)
    assert.deepEqual(again.keyServer, first.keyServer)
    assert.deepEqual(
      again.hosts.map(({ url }) => url),
      first.hosts.map(({ url }) => url),
    )
    assert.deepEqual(await clusters(), ['another', 'lab'])
  })

  await context.test('one service stops and starts by its name', async () => {
    await lab('stop', 'key-server')
    const stopped = JSON.parse(await lab('status', '--json')) as Record<string, number | null>
    assert.equal(stopped['key-server'], null)
    assert.ok(stopped['control-plane'] !== null)
    await lab('start', 'key-server')
    const started = JSON.parse(await lab('status', '--json')) as Record<string, number | null>
    assert.ok(started['key-server'] !== null)
  })

  await context.test('wrong words are refused with how to say it', async () => {
    for (const args of [
      ['lab', 'up'],
      ['lab', 'stop', 'nothing', '--dir', folder],
      ['lab', 'sideways', '--dir', folder],
    ]) {
      const { exitCode, stdout, stderr } = await run(runScript, args)
      assert.equal(exitCode, 2)
      assert.equal(stdout, '')
      assert.match(stderr, /usage: /)
    }
  })

  await context.test('down stops everything and keeps the data', async () => {
    await lab('down')
    const status = JSON.parse(await lab('status', '--json')) as Record<string, number | null>
    assert.deepEqual(Object.values(status), [null, null, null, null])
    const again = await up()
    assert.deepEqual(again.controlPlane, first.controlPlane)
    assert.deepEqual(await clusters(), ['another', 'lab'])
  })
})
