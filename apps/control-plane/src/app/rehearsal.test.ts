import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { askOutside, type Effect, isRehearsed, rehearseRequest } from './rehearsal.ts'
import { admin, World } from './work/testing/world.ts'

test('a dry run asks the key server while nobody waits for the database, and says what would happen', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  const { database } = world.process
  const { orders } = world.work.keyLives
  const foreign = await world.kms.provider(world.process.faults).createKey()
  const dry = async (keyId: string) => {
    const effects: Effect[] = []
    const answer = await rehearseRequest(database, effects, () =>
      orders.destroy('vault', keyId, { force: true, afterSeconds: 0 }, admin),
    )
    return { answer, effects }
  }
  // `MemoryKms` throws when it is asked within a dry run.
  const { answer, effects } = await dry(foreign)
  assert.match(answer.approval?.impact.warnings.join() ?? '', /on record nowhere/)
  assert.deepEqual(
    effects.map((effect) => effect.kind === 'event' && effect.type),
    ['approval.requested'],
  )
  await assert.rejects(dry('no-such-key'), /has no key no-such-key/)
  world.kms.down = true
  await assert.rejects(dry(foreign), /vault is down/)
  assert.deepEqual(await world.work.keyLives.approvals.list(false, admin), [])
})

test('the database is free while a dry run asks; each question is asked once, whatever becomes of the answer', async (context) => {
  const world = await World.start(context)
  const { database } = world.process
  const asked: string[] = []
  const ask = async (question: string) =>
    askOutside(question, async () => {
      asked.push(question)
      assert.equal(isRehearsed(), false)
      // This waits for as long as somebody has the database.
      await database.insertInto('cluster').values({ id: question, name: question }).execute()
      if (question === 'bad') throw new Error('no answer')
      return `${question}!`
    })
  const effects: Effect[] = []
  const answers = await rehearseRequest(database, effects, async () => {
    await database.insertInto('cluster').values({ id: 'dry', name: 'dry' }).execute()
    const first = await ask('first')
    const bad = await ask('bad').catch((error: unknown) => String(error))
    return [first, bad, ...(await Promise.all(['x', 'y'].map(ask)))]
  })
  assert.deepEqual(answers, ['first!', 'Error: no answer', 'x!', 'y!'])
  assert.deepEqual(asked, ['first', 'bad', 'x', 'y'])
  const names = (await database.selectFrom('cluster').select('name').execute()).map(({ name }) => name)
  assert.ok(names.includes('first') && !names.includes('dry'))
  await assert.rejects(
    rehearseRequest(database, effects, async () => {
      let count = 0
      while (true) await askOutside(`${count++}`, async () => null)
    }),
    /took too long/,
  )
})
