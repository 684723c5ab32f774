import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { hostUri } from '@cryptvisor/host-agent-api'
import { temporaryFolder } from '@cryptvisor/testkit'
import { eventually, TestControlPlane } from './testing/test-control-plane.ts'

const mainPath = fileURLToPath(new URL('./main.ts', import.meta.url))

/** Runs the program to its end; where `input` is `null`, its standard input stays open meanwhile. */
async function run(args: readonly string[], input: string | null) {
  const child = spawn(process.execPath, [mainPath, ...args], { stdio: 'pipe', env: {} })
  if (input !== null) child.stdin.end(input)
  const [stdout, stderr, [exitCode]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { stdout, stderr, exitCode: Number(exitCode) }
}

function serve(context: TestContext, folder: string) {
  const child = spawn(process.execPath, [mainPath, 'serve', '--dir', folder], { stdio: 'pipe', env: {} })
  context.after(() => child.kill('SIGKILL'))
  return child
}

test('a host enrols with a token on standard input, serves, keeps its session, and ends cleanly', async (context) => {
  const enrolling = await TestControlPlane.start(context, { mutual: false })
  const folder = join(temporaryFolder(context), 'agent')
  const enrolled = await run(['enroll', '--dir', folder, '--url-host', '127.0.0.1'], `${enrolling.token()}\n`)
  assert.equal(enrolled.exitCode, 0, enrolled.stderr)
  const { hostId, url } = JSON.parse(enrolled.stdout) as { hostId: string; url: string }
  // The same address answers sessions from now on, over mutual TLS.
  await enrolling.stop()
  const port = Number(new URL(enrolling.url).port)
  const plane = await TestControlPlane.start(context, { mutual: true, port, authority: enrolling.authority })
  const child = serve(context, folder)
  const output = text(child.stdout)
  const log = text(child.stderr)
  await eventually(() => plane.sessions.length === 1)
  assert.equal(plane.sessions[0]?.request.url, url)
  assert.equal(plane.sessions[0]?.request.cryptoSupported, true)
  const closed = once(child, 'close')
  child.kill('SIGTERM')
  assert.deepEqual(await closed, [0, null])
  assert.deepEqual(JSON.parse(await output), { ready: true, url, name: 'host-a' })
  for (const line of (await log).trim().split('\n')) assert.equal(typeof JSON.parse(line), 'object', line)
  assert.match(hostUri(hostId), /id-1$/)
})

test('wrong usage says what is right before it asks for a token, and ends with 2', async (context) => {
  const folder = temporaryFolder(context)
  const cases: [readonly string[], RegExp][] = [
    [[], /^host-agent: expected the command/],
    [['serve'], /^host-agent: --dir is missing/],
    [['serve', '--dir', folder, '--colour', 'blue'], /^host-agent: .*--colour/],
    [['enroll', '--dir', folder], /^host-agent: --url-host is missing/],
    [['enroll', '--dir', folder, '--url-host', '127.0.0.1', '--port', '0'], /^host-agent: --port: expected/],
  ]
  for (const [args, wanted] of cases) {
    const { exitCode, stderr } = await run(args, null)
    assert.equal(exitCode, 2, stderr)
    assert.match(stderr, wanted)
  }
  const { exitCode, stderr } = await run(['serve', '--dir', folder], null)
  assert.equal(exitCode, 1)
  assert.match(stderr, /not enrolled/)
})
