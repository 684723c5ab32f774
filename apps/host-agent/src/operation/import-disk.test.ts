import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { runTool } from '../process/tool.ts'
import { endOf, importRequest, TestHost } from '../testing/test-host.ts'
import { details, newVm } from '../testing/test-vm.ts'

async function emptyVm(host: TestHost) {
  return await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
}

async function qcow2(host: TestHost, ...options: string[]): Promise<Buffer> {
  const path = join(host.root, `${randomUUID()}.qcow2`)
  const { exitCode, stderr } = await runTool('qemu-img', ['create', '-q', '-f', 'qcow2', ...options, path, '1048576'])
  assert.equal(exitCode, 0, stderr)
  return readFileSync(path)
}

/** An import that must fail, after which the folder is as it was. */
async function assertRefused(host: TestHost, format: 'raw' | 'qcow2', content: Buffer, text: RegExp): Promise<void> {
  const vm = await host.done({ kind: 'create-vm', vm: newVm(host.datastore, `vm-${randomUUID()}`), details, key: null })
  const files = host.files(vm.folder)
  const { state, error } = await host.run(importRequest(vm, content.length, format), content)
  assert.deepEqual([state, error?.code], ['failed', 'bad-image'], error?.message)
  assert.match(error?.message ?? '', text)
  assert.deepEqual(host.files(vm.folder), files)
}

test('what comes lies on disk as it came, and zeros take no room', async () => {
  await using host = new TestHost()
  const content = Buffer.concat([
    randomBytes(70_000),
    Buffer.alloc(16 * 1_048_576),
    randomBytes(1000),
    Buffer.alloc(168),
  ])
  assert.equal(content.length % 512, 0)
  const vm = await host.done(importRequest(await emptyVm(host), content.length), content)
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  const path = host.path(`${disk.layerId}.raw`)
  assert.ok(readFileSync(path).equals(content))
  assert.ok(statSync(path).blocks * 512 < 1_048_576)
  assert.deepEqual([disk.payloadBytes, disk.virtualBytes, disk.encryption], [content.length, content.length, null])
})

test('a qcow2 image tells the size of its disk itself', async () => {
  await using host = new TestHost()
  const content = await qcow2(host)
  const vm = await host.done(importRequest(await emptyVm(host), content.length, 'qcow2'), content)
  const [disk] = vm.disks
  assert.deepEqual([disk?.payloadBytes, disk?.virtualBytes, disk?.format], [content.length, 1_048_576, 'qcow2'])
})

test('a qcow2 image whose tables name what is not there is refused', async () => {
  await using host = new TestHost()
  const whole = await qcow2(host, '-o', 'cluster_size=4096')
  const path = join(host.root, 'filled.qcow2')
  writeFileSync(path, whole)
  for (const command of ['write -P 7 512k 64k', 'write -P 9 0 4k']) {
    assert.equal((await runTool('qemu-io', ['-f', 'qcow2', '-c', command, path])).exitCode, 0)
  }
  assert.equal((await runTool('qemu-img', ['snapshot', '-c', 'first', path])).exitCode, 0)
  const filled = readFileSync(path)
  const vm = await host.done(importRequest(await emptyVm(host), filled.length, 'qcow2'), filled)
  assert.equal(vm.disks[0]?.virtualBytes, 1_048_576)
  await assertRefused(host, 'qcow2', filled.subarray(0, 16_384), /qcow2/)
  const damaged = Buffer.from(filled)
  // Both L1 tables, the snapshot's too: it points at a cluster far behind the end.
  const l1Offset = Number(damaged.readBigUInt64BE(40))
  damaged.writeBigUInt64BE(0x8000_0000_4000_0000n, l1Offset)
  await assertRefused(host, 'qcow2', damaged, /qcow2/)
})

test('images that hide something are refused', async () => {
  await using host = new TestHost()
  const backing = ['-b', '/etc/hostname', '-F', 'raw']
  await assertRefused(host, 'qcow2', await qcow2(host, ...backing), /backing file/)
  await assertRefused(host, 'qcow2', await qcow2(host, '-o', `data_file=${host.root}/data.raw`), /another file/)
  await assertRefused(host, 'qcow2', randomBytes(65_536), /qcow2/)
  const disguised = Buffer.alloc(1_048_576)
  ;(await qcow2(host)).copy(disguised)
  await assertRefused(host, 'raw', disguised, /qcow2 image/)
  await assertRefused(host, 'raw', randomBytes(1000), /whole sectors/)
})

test('content of another size than announced is refused, and nothing stays', async () => {
  await using host = new TestHost()
  const vm = await emptyVm(host)
  const files = host.files()
  for (const size of [512, 1536]) {
    await using operations = host.operations()
    const id = randomUUID()
    operations.start(id, importRequest(vm, 1024))
    const { error } = await operations.content(id, Readable.from([randomBytes(size)]), null)
    assert.equal(error?.code, 'bad-image', error?.message)
    assert.deepEqual(host.files(), files)
    await assert.rejects(operations.content(id, Readable.from([]), null), { code: 'not-waiting-for-content' })
  }
})

test('content that breaks off, or an announcement that is wrong, imports nothing', async () => {
  await using host = new TestHost()
  const vm = await emptyVm(host)
  const files = host.files()
  await using operations = host.operations()
  const id = randomUUID()
  operations.start(id, importRequest(vm, 1024))
  await assert.rejects(operations.content(id, Readable.from([]), 512), { code: 'bad-image' })
  const broken = Readable.from(
    (async function* () {
      yield randomBytes(512)
      throw new Error('the connection broke')
    })(),
  )
  const { error } = await operations.content(id, broken, 1024)
  assert.equal(error?.code, 'io')
  assert.match(error?.message ?? '', /512 of 1024|0 of 1024/)
  assert.deepEqual(host.files(), files)
})

test('a cancel ends an import that waits for the rest of its content', async () => {
  await using host = new TestHost()
  const vm = await emptyVm(host)
  const files = host.files()
  await using operations = host.operations()
  const id = randomUUID()
  operations.start(id, importRequest(vm, 1_048_576))
  const endless = new Readable({ read() {} })
  endless.push(randomBytes(65_536))
  const answer = operations.content(id, endless, null)
  while (operations.status(id).doneBytes === 0) await new Promise((resolve) => setImmediate(resolve))
  operations.cancel(id)
  assert.equal((await answer).error?.code, 'cancelled')
  assert.equal((await endOf(operations, id)).state, 'failed')
  assert.deepEqual(host.files(), files)
})

test('after a crash the size that was asked for counts, not the one in vm.json', async () => {
  await using host = new TestHost()
  const request = importRequest(await emptyVm(host), (await qcow2(host)).length, 'qcow2')
  const id = randomUUID()
  await host.run(request, await qcow2(host), id)
  const [name] = host.files().filter((each) => each.endsWith('.qcow2'))
  assert.ok(name !== undefined)
  truncateSync(host.path(name), request.payloadBytes + 65_536)
  const document = readFileSync(host.path('vm.json'), 'utf8')
  writeFileSync(
    host.path('vm.json'),
    document.replace(/"payloadBytes": \d+/, `"payloadBytes": ${request.payloadBytes + 65_536}`),
  )
  await using operations = host.operations()
  await assert.rejects(operations.recover(id, request), { code: 'bad-image' })
})
