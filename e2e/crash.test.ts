import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Key, Task, TaskStarted } from '@cryptvisor/control-plane-api'
import { filesBelow, filesWithText, SeededRandom } from '@cryptvisor/testkit'
import { knownText, makeRawImage } from './image.ts'
import { eventually, LabUnderTest, sha256 } from './lab-under-test.ts'

const mib = 1_048_576
const sizeBytes = 192 * mib
const long = process.env['CRYPTVISOR_TEST_LONG'] === '1'

/** How often the process is killed, at random moments; each time in another operation of the cycle. */
const killCounts = long ? { 'host-a': 200, 'control-plane': 60 } : { 'host-a': 6, 'control-plane': 6 }

/** What is done to the VM, round and round: the data is read again in the clear at the end of each round. */
const cycle = [
  { verb: 'encrypt', args: ['vm', 'encrypt', 'web'], wanted: 'encrypted' },
  { verb: 'rekey', args: ['vm', 'rekey', 'web', '--deep'], wanted: 'encrypted' },
  { verb: 'decrypt', args: ['vm', 'decrypt', 'web'], wanted: 'plain' },
] as const

async function startTask(lab: LabUnderTest, args: readonly string[]): Promise<Task> {
  const started = await lab.json<TaskStarted | Task>(...args, '--no-wait')
  return 'task' in started ? started.task : started
}

/** Waits until the task has done that share of its bytes, or has ended; gives whether it still runs. */
async function untilShare(lab: LabUnderTest, id: string, share: number): Promise<boolean> {
  await using session = await lab.lab.logIn()
  const { state } = await eventually('progress', async () => {
    const task = await session.client.task(id)
    const reached = task.totalBytes > 0 && task.doneBytes >= share * task.totalBytes
    return reached || !['queued', 'running'].includes(task.state) ? task : null
  })
  return state === 'running'
}

/** What must hold of the VM whatever happened: it is wholly plain or wholly encrypted, whole, and nothing is left over. */
async function checkWhole(lab: LabUnderTest, sum: string, text: string): Promise<'plain' | 'encrypted'> {
  const vm = await lab.vm('web')
  assert.ok(vm.encryption !== 'partial')
  assert.equal(vm.task, null)
  assert.equal(vm.lock.state, 'unlocked')
  const layers = (await filesBelow(vm.path)).filter((path) => /\.(raw|qcow2|luks)(\.|$)/.test(path))
  assert.deepEqual(layers.toSorted(), vm.disks.map(({ path }) => path).toSorted(), 'no other layer is left')
  // A journal stays as proof of an outcome that the agent was not told is on record; the next operation removes it.
  const journal = join(vm.path, 'journal.json')
  if (existsSync(journal)) assert.match(readFileSync(journal, 'utf8'), /"state": "cleaned"/)
  if (vm.encryption === 'plain') {
    assert.equal(await sha256(vm.disks[0]?.path ?? ''), sum)
  } else {
    assert.deepEqual(await filesWithText(vm.path, text), [])
  }
  return vm.encryption
}

/** Waits until the KEK of a task that changed nothing is destroyed at the key server. */
async function untilDestroyed(lab: LabUnderTest, task: Task): Promise<void> {
  const { key } = task
  if (key === null) return
  await eventually('the unused key to be destroyed', async () => {
    const { state } = await lab.json<Key>('keys', 'show', key.provider, key.keyId)
    return state === null || state === 'Destroyed' ? true : null
  })
}

for (const victim of ['host-a', 'control-plane'] as const) {
  test(`kill -9 of ${victim} in the middle of whatever it does: the VM is whole`, async (context) => {
    const random = SeededRandom.of(context, 3)
    const lab = await LabUnderTest.start(context)
    const text = knownText()
    const image = lab.path('disk.img')
    makeRawImage(image, sizeBytes, text)
    const sum = await sha256(image)
    await lab.json('vm', 'import', 'web', '--disk', image, '--host', 'host-a')

    let killedRunning = 0
    for (let kill = 0; kill < killCounts[victim]; kill++) {
      const { verb, args, wanted } = cycle[kill % cycle.length] ?? cycle[0]
      const share = random.fraction()
      await context.test(`${verb}, killed after ${(share * 100).toFixed(1)} % of the bytes`, async () => {
        const keyBefore = (await lab.vm('web')).home.key
        const task = await startTask(lab, args)
        if (await untilShare(lab, task.id, share)) killedRunning++
        await lab.lab.stop(victim, 'SIGKILL')
        await sleep(random.below(200))
        await lab.lab.start(victim)
        const ended = await lab.taskEnd(task.id)
        await eventually('the VM to be unlocked', async () =>
          (await lab.vm('web')).lock.state === 'unlocked' ? true : null,
        )
        const state = await checkWhole(lab, sum, text)
        const { key } = (await lab.vm('web')).home
        const happened = verb === 'rekey' ? key?.keyId !== keyBefore?.keyId : state === wanted
        assert.equal(happened, ended.state === 'success', `the task ended ${ended.state}, the VM is ${state}`)
        if (happened) return
        if (verb !== 'decrypt') await untilDestroyed(lab, ended)
        await lab.json(...args)
        assert.equal(await checkWhole(lab, sum, text), wanted)
      })
    }
    // On a slow day a task may be over before it is killed; were all of them, nothing would have been tried.
    const runningMin = killCounts[victim] / 3
    assert.ok(killedRunning >= runningMin, `${killedRunning} tasks were killed while they ran`)
    context.diagnostic(`${killedRunning} of ${killCounts[victim]} kills hit a running task`)
  })
}

test('a cancelled task leaves the VM as it was', async (context) => {
  const lab = await LabUnderTest.start(context)
  const text = knownText()
  const image = lab.path('disk.img')
  makeRawImage(image, 4 * sizeBytes, text)
  const sum = await sha256(image)
  await lab.json('vm', 'import', 'web', '--disk', image)
  await using session = await lab.lab.logIn()
  const { task } = await session.client.changePolicy('web', { policy: 'VM Encryption Policy' })
  await untilShare(lab, task.id, 0.05)
  await session.client.cancelTask(task.id)
  const ended = await lab.taskEnd(task.id)
  assert.equal(ended.state, 'cancelled')
  assert.equal(await checkWhole(lab, sum, text), 'plain')
  assert.ok(ended.key)
  await untilDestroyed(lab, ended)
})
