import assert from 'node:assert/strict'
import { chmodSync, copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { customAttribute } from '@cryptvisor/kmip'
import { KmipClientError } from '@cryptvisor/kmip-client'
import { openDatabase } from '@cryptvisor/sqlite'
import { filesWithTrace, processTraces } from '@cryptvisor/testkit'
import { migrations } from './database/migrations.ts'
import type { Schema } from './database/schema.ts'
import { KeyServerProcess } from './testing/key-server-process.ts'
import { createRequest, keyBytes } from './testing/requests.ts'

test('a key whose Create was answered survives a kill at once', async (context) => {
  const server = await KeyServerProcess.create(context)
  const identity = await server.issueClient('durable')
  const created = new Map<string, Uint8Array>()
  for (let round = 0; round < 3; round++) {
    await server.start()
    const clients = Array.from({ length: 4 }, () => server.client(identity))
    const labels = [customAttribute('x-round', `${round}`), customAttribute('x-other', 'value')]
    const ids: string[] = []
    const work = clients.map(async (client) => {
      for (;;) {
        const { uniqueIdentifier } = await client.create(createRequest)
        created.set(uniqueIdentifier, await keyBytes(client, uniqueIdentifier))
        for (const attribute of labels) await client.addAttribute({ uniqueIdentifier, attribute })
        ids.push(uniqueIdentifier)
        // Killed while the others are at whatever they are at.
        if (ids.length === 12) await server.stop('SIGKILL')
      }
    })
    for (const outcome of await Promise.allSettled(work)) {
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof KmipClientError, 'ended by the kill alone')
    }
    await server.start()
    const client = server.client(identity)
    for (const [id, bytes] of created) assert.deepEqual(await keyBytes(client, id), bytes)
    const { uniqueIdentifier: labelled } = await client.locate({ attribute: [...labels] })
    for (const id of ids) assert.ok(labelled.includes(id), 'and so do its labels')
    const { brokenAt } = await server.admin().checkAudit()
    assert.equal(brokenAt, null)
    assert.equal(await server.stop('SIGTERM'), 0)
  }
  assert.ok(created.size >= 36)
})

test('no key lies in the data folder, in the log or in what the kernel shows of the process', async (context) => {
  const server = await KeyServerProcess.create(context)
  const identity = await server.issueClient('canary')
  await server.start()
  const client = server.client(identity)
  const keys: Uint8Array[] = []
  for (let index = 0; index < 5; index++) {
    const { uniqueIdentifier } = await client.create(createRequest)
    keys.push(await keyBytes(client, uniqueIdentifier))
    if (index === 0) await client.destroy({ uniqueIdentifier })
  }
  assert.ok(server.pid !== undefined)
  for (const key of keys) {
    // Among them are the database, its write-ahead log, while it is open, and our log.
    assert.deepEqual(await filesWithTrace(server.folder, key), [])
    assert.deepEqual(processTraces(server.pid, key), [])
  }
  await server.stop()
  for (const key of keys) assert.deepEqual(await filesWithTrace(server.folder, key), [])
  const [planted] = keys
  assert.ok(planted !== undefined)
  writeFileSync(join(server.data, 'planted'), `x${Buffer.from(planted).toString('base64')}`)
  assert.equal((await filesWithTrace(server.folder, planted)).length, 1, 'the search would have found it')
})

test('without its root key, or with another one, the server does not start', async (context) => {
  const server = await KeyServerProcess.create(context)
  const kept = `${server.rootKeyFile}.kept`
  renameSync(server.rootKeyFile, kept)
  await assert.rejects(server.start(), /no root key at/)
  writeFileSync(server.rootKeyFile, new Uint8Array(32), { mode: 0o600 })
  await assert.rejects(server.start(), /another root key/)
  renameSync(kept, server.rootKeyFile)
  chmodSync(server.rootKeyFile, 0o644)
  await assert.rejects(server.start(), /others may read/)
  chmodSync(server.rootKeyFile, 0o600)
  await server.start()
  const port = server.kmip.port
  await server.stop()
  await server.start()
  assert.equal(server.kmip.port, port, 'a port that was chosen is kept')
})

test('what a kill kept in the write-ahead log after it was erased is gone at the next start', async (context) => {
  const server = await KeyServerProcess.create(context)
  const path = join(server.data, 'key-server.sqlite')
  const files = [path, `${path}-wal`]
  const erased = Buffer.from('a wrapping key that was erased and committed')
  const db = await openDatabase<Schema>(path, migrations)
  await db.insertInto('wrapping_key').values({ id: 'erased', bytes: erased }).execute()
  await db.deleteFrom('wrapping_key').where('id', '=', 'erased').execute()
  // A kill leaves the files as they are now; closing the database would empty the log.
  for (const file of files) copyFileSync(file, `${file}.kept`)
  await db.destroy()
  for (const file of files) renameSync(`${file}.kept`, file)
  assert.ok(readFileSync(`${path}-wal`).includes(erased), 'the search finds it while it is there')
  await server.start()
  for (const file of files) assert.ok(!readFileSync(file).includes(erased), file)
})
