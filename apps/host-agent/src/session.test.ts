import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { hostUri } from '@cryptvisor/host-agent-api'
import { RestClient } from '@cryptvisor/rest'
import { AgentError } from './agent-error.ts'
import { agentFiles } from './config.ts'
import { ControlPlaneEpoch } from './control-plane-epoch.ts'
import { freePort } from './free-port.ts'
import { keepSession, type SessionOptions } from './session.ts'
import { eventually, TestControlPlane } from './testing/test-control-plane.ts'

const request = { bootId: 'boot', url: 'https://127.0.0.1:1', version: '0', cryptoSupported: true }

/** An agent that has met no control plane and takes any. */
const anyEpoch: SessionOptions['epoch'] = { known: 0, meet: async () => true }

/** Keeps a session until the test ends; gives what it logged. */
async function keep(context: TestContext, plane: TestControlPlane, silenceMaxMs: number, epoch = anyEpoch) {
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
  const options = { client, request, log, epoch, random: () => 0.5, waitMinMs: 1, waitMaxMs: 20, silenceMaxMs }
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
  assert.deepEqual(plane.sessions[0]?.request, { ...request, epoch: 0 })
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

test('an agent keeps what it has met over a restart, and works for no control plane that was replaced', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-epoch-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const plane = await TestControlPlane.start(context, { mutual: true })
  const epoch = await ControlPlaneEpoch.open(folder)
  const { texts } = await keep(context, plane, 60_000, epoch)
  await eventually(() => plane.sessions.length === 1)
  plane.sessions[0]?.stream.write('{"heartbeat":1,"epoch":7}\n')
  await eventually(() => epoch.known === 7)
  const restarted = await ControlPlaneEpoch.open(folder)
  assert.equal(restarted.known, 7)
  assert.equal(await restarted.meet(6), false)
  assert.equal(restarted.known, 7)
  plane.sessions[0]?.stream.write('{"heartbeat":2,"epoch":6}\n')
  await eventually(() => plane.sessions.length >= 2)
  assert.equal(plane.sessions[1]?.request.epoch, 7)
  assert.ok(texts.some((text) => text.includes('was replaced by a restore')))
})

test('a damaged note of what was met keeps the agent from starting rather than from remembering', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-epoch-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const text of ['', '{}', '{"epoch":-1}', '{"epoch":"7"}', 'epoch 7']) {
    writeFileSync(agentFiles.epoch(folder), text)
    await assert.rejects(ControlPlaneEpoch.open(folder), AgentError, text)
  }
})
