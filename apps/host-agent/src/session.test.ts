import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { hostUri } from '@cryptvisor/host-agent-api'
import { RestClient } from '@cryptvisor/rest'
import { freePort } from './free-port.ts'
import { keepSession } from './session.ts'
import { eventually, TestControlPlane } from './testing/test-control-plane.ts'

const request = { bootId: 'boot', url: 'https://127.0.0.1:1', version: '0', cryptoSupported: true }

/** Keeps a session until the test ends; gives what it logged. */
async function keep(context: TestContext, plane: TestControlPlane, silenceMaxMs: number) {
  const identity = await plane.authority.issue({
    commonName: 'host',
    usages: ['client'],
    uris: [hostUri('host')],
    validDays: 1,
  })
  const client = new RestClient({ url: plane.url, ca: plane.authority.certificate, identity })
  const ending = new AbortController()
  const texts: string[] = []
  const note = (_: object, text: string) => {
    texts.push(text)
  }
  const log = { info: note, warn: note }
  const options = { client, request, log, random: () => 0.5, waitMinMs: 1, waitMaxMs: 20, silenceMaxMs }
  const session = keepSession(options, ending.signal)
  context.after(async () => {
    ending.abort()
    await session
    await client[Symbol.asyncDispose]()
  })
  return { texts, ending, session }
}

test('a session says who the agent is, and is dialled again when it ends', async (context) => {
  const plane = await TestControlPlane.start(context, { mutual: true })
  const { texts } = await keep(context, plane, 60_000)
  await eventually(() => plane.sessions.length === 1)
  assert.deepEqual(plane.sessions[0]?.request, request)
  await eventually(() => texts.length === 1)
  plane.sessions[0]?.stream.end()
  await eventually(() => plane.sessions.length === 2)
  assert.match(texts[1] ?? '', /ended the session/)
})

test('a session in which no heartbeat comes is dialled again', async (context) => {
  const plane = await TestControlPlane.start(context, { mutual: true })
  const { texts } = await keep(context, plane, 50)
  await eventually(() => plane.sessions.length >= 3)
  assert.ok(texts.includes('no session with the control plane; dialling again'))
})

test('a control plane that comes back finds the agent again, and an end ends it at once', async (context) => {
  const port = await freePort('127.0.0.1')
  const plane = await TestControlPlane.start(context, { mutual: true, port })
  const { ending, session } = await keep(context, plane, 60_000)
  await eventually(() => plane.sessions.length === 1)
  await plane.stop()
  const again = await TestControlPlane.start(context, { mutual: true, port, authority: plane.authority })
  await eventually(() => again.sessions.length === 1)
  ending.abort()
  await session
})
