import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { RestClient } from '@cryptvisor/rest'
import { temporaryFolder } from '@cryptvisor/testkit'

const program = fileURLToPath(new URL('main.ts', import.meta.url))
const password = 'correct horse battery staple'

interface Started {
  readonly pid: number
  kill(signal: NodeJS.Signals): void
  /** Exit code (or signal) and what it wrote. */
  readonly ended: Promise<{ readonly end: number | string | null; readonly out: string; readonly err: string }>
  /** The first line of standard output. */
  readonly line: Promise<string>
}

function start(context: TestContext, args: readonly string[], options: { input?: string; env?: object } = {}): Started {
  const env = { ...process.env, ...options.env }
  const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env })
  context.after(() => child.kill('SIGKILL'))
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    err += String(chunk)
  })
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => ({
    end: typeof code === 'number' ? code : typeof signal === 'string' ? signal : null,
    out,
    err,
  }))
  const lines = createInterface({ input: child.stdout })
  const line = Promise.race([
    once(lines, 'line').then(([text]: unknown[]) => String(text)),
    ended.then((result) => Promise.reject(new Error(`ended before a line: ${result.err}`))),
  ])
  // Whoever waits for it sees it; not everybody does.
  line.catch(() => {})
  return { pid: child.pid ?? 0, kill: (signal) => child.kill(signal), ended, line }
}

const run = (context: TestContext, args: readonly string[], options?: Parameters<typeof start>[2]) =>
  start(context, args, options).ended

async function setUp(context: TestContext) {
  const folder = join(temporaryFolder(context), 'data')
  const made = await run(context, ['init', '--dir', folder], { input: `${password}\n` })
  assert.equal(made.end, 0, made.err)
  // `init` wrote it.
  const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { readonly hostsPort: number }
  return {
    folder,
    rootKeyFile: `${folder}.root-key`,
    config,
    serve: (env?: object) => start(context, ['serve', '--dir', folder], env === undefined ? {} : { env }),
  }
}

async function logIn(folder: string, line: string, secret = password) {
  const { url } = JSON.parse(line) as { url: string }
  await using rest = new RestClient({ url, ca: readFileSync(join(folder, 'ca.pem'), 'utf8') })
  return await new ControlPlaneClient(rest).login({ user: 'admin', password: secret })
}

test('init makes what only its owner reads; serve runs on it, alone, and survives kill -9', async (context) => {
  const { folder, rootKeyFile, serve } = await setUp(context)
  for (const path of [rootKeyFile, ...['config.json', 'control-plane.sqlite'].map((name) => join(folder, name))]) {
    assert.equal(statSync(path).mode & 0o777, 0o600, path)
  }
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  const again = await run(context, ['init', '--dir', folder], { input: `${password}\n` })
  assert.equal(again.end, 1)
  assert.match(again.err, /config\.json exists/)

  const first = serve()
  await logIn(folder, await first.line)
  const second = await serve().ended
  assert.equal(second.end, 1)
  assert.match(second.err, /cannot listen at https:.*somebody listens there already/)
  first.kill('SIGKILL')
  assert.equal((await first.ended).end, 'SIGKILL')
  const third = serve()
  await logIn(folder, await third.line)
  third.kill('SIGTERM')
  assert.equal((await third.ended).end, 0)
})

test('it runs without core dumps, and no signal opens its debugger', async (context) => {
  const { folder, serve } = await setUp(context)
  const process = serve()
  const line = await process.line
  assert.match(readFileSync(`/proc/${process.pid}/limits`, 'utf8'), /^Max core file size\s+0\s/m)
  process.kill('SIGUSR1')
  // An answer after the signal: it was taken by then.
  await logIn(folder, line)
  process.kill('SIGTERM')
  assert.doesNotMatch((await process.ended).err, /Debugger listening/)
  for (const env of [{ NODE_OPTIONS: '--inspect=0' }, { NODE_DEBUG: 'tls' }]) {
    const refused = await serve(env).ended
    assert.equal(refused.end, 1)
    assert.match(refused.err, /does not start so/)
  }
})

test('an init that is killed leaves what the next one explains', async (context) => {
  const root = temporaryFolder(context)
  for (const [index, isReached] of [
    (folder: string) => existsSync(`${folder}.root-key`),
    (folder: string) => existsSync(join(folder, 'control-plane.sqlite')),
    (folder: string) => existsSync(join(folder, 'ca.pem')),
  ].entries()) {
    const folder = join(root, `data-${index}`)
    const cut = start(context, ['init', '--dir', folder], { input: `${password}\n` })
    while (!isReached(folder)) await sleep(1)
    cut.kill('SIGKILL')
    await cut.ended
    // It may have been quicker than the signal.
    if (existsSync(join(folder, 'config.json'))) continue
    const served = await run(context, ['serve', '--dir', folder])
    assert.match(served.err, /config\.json does not exist: run «control-plane init/)
    const again = await run(context, ['init', '--dir', folder], { input: `${password}\n` })
    assert.equal(again.end, 1)
    assert.match(again.err, /remove .*data-\d.* and .*root-key|root-key exists and is not replaced/)
  }
})

test('a lost configuration is not taken for a set-up that was cut off', async (context) => {
  const { folder, rootKeyFile } = await setUp(context)
  renameSync(join(folder, 'config.json'), join(folder, 'lost'))
  const again = await run(context, ['init', '--dir', folder], { input: `${password}\n` })
  assert.equal(again.end, 1)
  assert.match(again.err, /if a control plane did run in it, bring its config\.json back and remove nothing/)
  assert.ok(existsSync(rootKeyFile))
})

test('without its root key it does not start, and says which file it wants', async (context) => {
  const { folder, rootKeyFile, serve } = await setUp(context)
  const refused = async (told: RegExp) => {
    const { end, err, out } = await serve().ended
    assert.deepEqual([end, out], [1, ''])
    assert.match(err, told)
    assert.ok(err.includes(rootKeyFile) || /root key/.test(err), err)
  }
  chmodSync(rootKeyFile, 0o644)
  await refused(/others may read .*chmod 600/)
  renameSync(rootKeyFile, `${rootKeyFile}.kept`)
  await refused(/no root key at /)
  writeFileSync(rootKeyFile, Buffer.alloc(32, 7), { mode: 0o600 })
  await refused(/root key/)
  assert.ok(existsSync(join(folder, 'control-plane.sqlite')))
  const inside = join(temporaryFolder(context), 'data')
  const bad = await run(context, ['init', '--dir', inside, '--root-key-file', join(inside, 'root.key')], {
    input: `${password}\n`,
  })
  assert.match(bad.err, /lies with the data that it protects/)
  assert.ok(!existsSync(inside))
})

test('an init that fails takes away what it made; passwords come by standard input only', async (context) => {
  const folder = join(temporaryFolder(context), 'data')
  const init = (input: string, ...more: string[]) => run(context, ['init', '--dir', folder, ...more], { input })
  for (const [input, told] of [
    ['', /expected the administrator’s password/],
    ['short\n', /password/],
    [`${'x'.repeat(5000)}\n`, /too long/],
  ] as const) {
    const { end, err } = await init(input)
    assert.equal(end, 1)
    assert.match(err, told)
    assert.ok(!existsSync(`${folder}.root-key`))
  }
  assert.match((await init(`${password}\n`, '--admin-user', 'a b')).err, /name/)
  assert.equal((await init(`${password}\n`, '--port', '99999')).end, 2)
  assert.equal((await init(`${password}\n`, '--port', '7000', '--hosts-port', '7000')).end, 2)
  assert.equal((await init(`${password}\n`, 'more')).end, 2)
  assert.match((await init(`${password}\n`, '--password', 'x')).err, /Unknown option '--password'/)
  mkdirSync(join(folder, 'ca.pem'), { recursive: true })
  assert.equal((await init(`${password}\n`)).end, 1)
  assert.ok(!existsSync(`${folder}.root-key`) && !existsSync(join(folder, 'control-plane.sqlite')))
})

test('whoever has the machine gets an administrator back, also while it runs', async (context) => {
  const { folder, serve } = await setUp(context)
  const process = serve()
  const line = await process.line
  const { token } = await logIn(folder, line)
  const fresh = 'an altogether new password'
  const recovered = await run(context, ['recover-admin', '--dir', folder], { input: `${fresh}\n` })
  assert.equal(recovered.end, 0, recovered.err)
  const { url } = JSON.parse(line) as { url: string }
  await using rest = new RestClient({ url, ca: readFileSync(join(folder, 'ca.pem'), 'utf8'), bearerToken: token })
  await assert.rejects(new ControlPlaneClient(rest).me(), { status: 401 })
  await assert.rejects(logIn(folder, line), { status: 401 })
  assert.equal((await logIn(folder, line, fresh)).user, 'admin')
})

test('a port that another program has is named', async (context) => {
  const { config, serve } = await setUp(context)
  const other = createServer()
  other.listen(config.hostsPort, '127.0.0.1')
  await once(other, 'listening')
  try {
    const { end, err } = await serve().ended
    assert.equal(end, 1)
    assert.match(err, /cannot listen at .*change hostsPort or listenAddress/)
  } finally {
    other.close()
  }
})
