import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type KmipClient, KmipClientError, type KmipClientErrorCode } from '@cryptvisor/kmip-client'
import { defaultFailoverLimits, type Environment, Failover, type FailoverLimits, ServerFailure } from './failover.ts'

/** A clock that only sleeping moves, and a record of how long that was. */
interface StillEnvironment extends Environment {
  random: Environment['random']
  sleep: Environment['sleep']
  time: number
  readonly slept: number[]
}

function stillEnvironment(): StillEnvironment {
  const environment: StillEnvironment = {
    slept: [],
    time: 0,
    now: () => environment.time,
    random: () => 0.5,
    sleep: async (ms: number) => {
      environment.slept.push(ms)
      environment.time += ms
    },
  }
  return environment
}

/** Servers that fail as `failures` says now; the rest answer. */
function setUp(names: readonly string[], limits: Partial<FailoverLimits> = {}) {
  const environment = stillEnvironment()
  const failures = new Map<string, KmipClientErrorCode>()
  const asked: string[] = []
  // Nothing is done with the clients but to tell them apart and to close them.
  const clients = new Map(names.map((name) => [name, { [Symbol.asyncDispose]: async () => undefined } as KmipClient]))
  const failover = new Failover(
    [...clients].map(([name, client]) => ({ name, client })),
    { ...defaultFailoverLimits, ...limits },
    environment,
  )
  const ask = () =>
    failover.run(async (client) => {
      const name = names.find((name) => clients.get(name) === client) ?? ''
      asked.push(name)
      const code = failures.get(name)
      if (code !== undefined) throw new KmipClientError(code, code)
      return name
    })
  return { environment, failures, asked, ask, failover }
}

test('the first server is asked, as long as it answers', async () => {
  const { ask, asked } = setUp(['a', 'b'])
  assert.equal(await ask(), 'a')
  assert.equal(await ask(), 'a')
  assert.deepEqual(asked, ['a', 'a'])
})

for (const code of ['connect-failed', 'tls-failed', 'timeout', 'closed'] as const) {
  test(`the next one is asked when a connection fails: ${code}`, async () => {
    const { ask, asked, failures } = setUp(['a', 'b'])
    failures.set('a', code)
    assert.equal(await ask(), 'b')
    assert.deepEqual(asked, ['a', 'b'])
  })
}

for (const code of ['operation-failed', 'protocol', 'busy'] as const) {
  test(`an answer is an answer: ${code}`, async () => {
    const { ask, asked, failures } = setUp(['a', 'b'])
    failures.set('a', code)
    await assert.rejects(ask(), (error) => {
      assert.ok(error instanceof ServerFailure)
      assert.deepEqual([error.server, error.cause.code], ['a', code])
      return true
    })
    assert.deepEqual(asked, ['a'])
  })
}

test('a server that failed is asked last for a while, then first again', async () => {
  const { ask, asked, failures, environment } = setUp(['a', 'b', 'c'])
  failures.set('a', 'timeout')
  await ask()
  failures.clear()
  await ask()
  assert.deepEqual(asked, ['a', 'b', 'b'])
  environment.time += defaultFailoverLimits.avoidMs
  await ask()
  assert.deepEqual(asked.slice(3), ['a'])
})

test('of many requests one alone tries a server that failed, when its time has come', async () => {
  const environment = stillEnvironment()
  const started: string[] = []
  let release: () => void = () => undefined
  const clients = ['a', 'b'].map((name) => ({
    name,
    client: { [Symbol.asyncDispose]: async () => undefined } as KmipClient,
  }))
  await using failover = new Failover(clients, { ...defaultFailoverLimits, avoidMs: 100 }, environment)
  let isDown = true
  const ask = () =>
    failover.run(async (client) => {
      const name = clients.find((candidate) => candidate.client === client)?.name ?? ''
      started.push(name)
      if (name === 'a' && isDown) throw new KmipClientError('timeout', 'a')
      if (name === 'a') await new Promise<void>((resolve) => (release = resolve))
      return name
    })
  await ask()
  isDown = false
  environment.time += 100
  started.length = 0
  const trial = ask()
  assert.deepEqual(await Promise.all([ask(), ask()]), ['b', 'b'], 'the others do not wait for the trial')
  release()
  assert.equal(await trial, 'a')
  const next = ask()
  release()
  await next
  assert.deepEqual(started, ['a', 'b', 'b', 'a'])
})

test('one that failed is asked all the same when no other answers, and is trusted again at once', async () => {
  const { ask, asked, failures } = setUp(['a', 'b'])
  failures.set('a', 'timeout')
  await ask()
  failures.clear()
  failures.set('b', 'timeout')
  assert.equal(await ask(), 'a')
  assert.equal(await ask(), 'a')
  assert.deepEqual(asked, ['a', 'b', 'b', 'a', 'a'])
})

test('all in vain, it begins again after pauses that grow, a few times', async () => {
  const { ask, asked, failures, environment } = setUp(['a', 'b'])
  failures.set('a', 'timeout').set('b', 'closed')
  await assert.rejects(ask(), { server: 'b' })
  assert.deepEqual(asked, ['a', 'b', 'a', 'b', 'a', 'b'])
  assert.deepEqual(environment.slept, [200, 400])
})

test('pauses differ from one to the next', async () => {
  const { ask, failures, environment } = setUp(['a'])
  failures.set('a', 'timeout')
  const chances = [0, 0.999]
  environment.random = () => chances.shift() ?? 0
  await assert.rejects(ask())
  assert.deepEqual(environment.slept, [100, 400 * 1.499])
})

test('after the deadline no try is begun', async () => {
  const { ask, asked, failures } = setUp(['a', 'b'], { deadlineMs: 250 })
  failures.set('a', 'timeout').set('b', 'timeout')
  await assert.rejects(ask())
  assert.deepEqual(asked, ['a', 'b', 'a', 'b'])
})

test('what is not trusted is not asked again at once', async () => {
  const { ask, asked, failures } = setUp(['a', 'b'])
  failures.set('a', 'timeout').set('b', 'tls-failed')
  await assert.rejects(ask(), { server: 'b' })
  assert.deepEqual(asked, ['a', 'b'])
})

test('after disposal nothing is begun', async () => {
  const { ask, asked, failures, failover, environment } = setUp(['a'])
  failures.set('a', 'closed')
  environment.sleep = async () => failover[Symbol.asyncDispose]()
  await assert.rejects(ask())
  assert.deepEqual(asked, ['a'])
})

test('other errors are passed on as they are', async () => {
  const { failover } = setUp(['a', 'b'])
  await assert.rejects(
    failover.run(async () => {
      throw new RangeError('no')
    }),
    RangeError,
  )
})
