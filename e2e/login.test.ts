import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type {
  IdentitySourceTest,
  Me,
  NewSecondFactor,
  RecoveryCodes,
  SecondFactorState,
  User,
} from '@cryptvisor/control-plane-api'
import { environment } from '@cryptvisor/lab'
import {
  browse,
  confirmDevice,
  openOpenIdProvider,
  type TestAccount,
  testClient,
} from '@cryptvisor/testkit/openid-provider'
import { LabUnderTest, run, tool } from './lab-under-test.ts'

/** What an authenticator shows, from the URI that it was given (RFC 6238): now, or so many steps later. */
function authenticator(uri: string, stepsOn = 0): string {
  const text = new URL(uri).searchParams.get('secret') ?? ''
  const bits = [...text].map((each) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(each).toString(2).padStart(5, '0'))
  const secret = Buffer.from((bits.join('').match(/.{8}/g) ?? []).map((each) => Number.parseInt(each, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + stepsOn))
  const mac = createHmac('sha1', secret).update(counter).digest()
  const number = mac.readUInt32BE(mac.readUInt8(19) & 15) & 0x7fff_ffff
  return String(number % 1_000_000).padStart(6, '0')
}

test('a second factor: required, set up, asked for, lost and reset', async (context) => {
  const lab = await LabUnderTest.start(context)
  const { url, ca } = lab.description.controlPlane
  const passwordFile = lab.path('password')
  writeFileSync(passwordFile, 'correct horse battery staple\n', { mode: 0o600 })
  const codeFile = lab.path('code')
  const written = (code: string) => {
    writeFileSync(codeFile, code)
    return ['--code-file', codeFile]
  }
  await lab.json('user', 'add', 'kim', '--role', 'ReadOnly', '--password-file', passwordFile)
  const config = ['--config', lab.path('kim.json')]
  const logIn = (...more: string[]) =>
    lab.cryptvisor(
      'login',
      '--url',
      url,
      '--ca',
      ca,
      '--user',
      'kim',
      '--password-file',
      passwordFile,
      ...config,
      ...more,
    )
  assert.equal((await logIn()).exitCode, 0)

  const refused = await lab.cryptvisor('user', 'totp', 'require', 'everybody')
  assert.notEqual(refused.exitCode, 0)
  assert.match(refused.stderr, /you would need one yourself/)
  const own = await lab.json<NewSecondFactor>('user', 'totp', 'enroll')
  await lab.json('user', 'totp', 'confirm', ...written(authenticator(own.uri)))
  await lab.json('user', 'totp', 'require', 'everybody')

  const kept = await lab.cryptvisor('vm', 'list', ...config)
  assert.notEqual(kept.exitCode, 0)
  assert.match(kept.stderr, /a second factor is required of you[\s\S]*user totp enroll/)
  const { uri } = await lab.json<NewSecondFactor>('user', 'totp', 'enroll', ...config)
  const { recoveryCodes } = await lab.json<RecoveryCodes>(
    ...['user', 'totp', 'confirm', ...written(authenticator(uri)), ...config],
  )
  await lab.json('vm', 'list', ...config)

  const without = await logIn()
  assert.equal(without.exitCode, 2, 'there is no terminal to ask for the code on')
  assert.match(without.stderr, /a code of the second factor is needed/)
  // The code that confirmed does not count again; that of the next step does, since clocks may differ.
  assert.equal((await logIn(...written(authenticator(uri, 1)))).exitCode, 0)
  const again = await logIn(...written(authenticator(uri, 1)))
  assert.equal(again.exitCode, 4)
  assert.match(again.stderr, /was used already[\s\S]*next code/)
  assert.equal((await logIn(...written(recoveryCodes[0] ?? ''))).exitCode, 0)
  assert.equal((await lab.json<SecondFactorState>('user', 'totp', 'show', ...config)).recoveryCodesLeft, 9)

  await lab.json('user', 'totp', 'reset', 'kim')
  const users = await lab.json<User[]>('user', 'list')
  assert.equal(users.find(({ name }) => name === 'kim')?.secondFactor, false)
  assert.notEqual((await lab.cryptvisor('whoami', ...config)).exitCode, 0, 'a reset ends sessions')
  const texts = (await lab.events('--type', 'user.second-factor-changed')).map(({ text }) => text)
  assert.ok(texts.includes('the second factor of kim was reset'))
  assert.ok(texts.some((text) => text.includes('used a recovery code')))
  // No secret lies open in anything that the lab wrote.
  const secret = new URL(uri).searchParams.get('secret') ?? 'none'
  assert.equal((await run('grep', ['-rqF', secret, lab.folder])).exitCode, 1)
})

/** Runs `cryptvisor login --source`, and a browser that logs in as `account` at the address that it shows. */
async function logInBySource(lab: LabUnderTest, account: string, args: readonly string[]) {
  const child = spawn(process.execPath, [tool, '--dir', lab.folder, 'login', ...args], {
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stderr = ''
  let came: Promise<unknown> | null = null
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    const [typed, userCode] = /^code: (\S+)\n/m.exec(stderr) ?? []
    const url = /^http\S+$/m.exec(stderr)?.[0]
    if (url === undefined || !stderr.includes(`${url}\n`) || came !== null) return
    if (args.includes('--device')) {
      if (typed !== undefined && userCode !== undefined) came = confirmDevice(url, userCode, account)
      came?.catch(() => child.kill())
      return
    }
    const redirectUri = new URL(url).searchParams.get('redirect_uri') ?? ''
    came = browse(url, account).then((query) => fetch(redirectUri + query))
    came.catch(() => child.kill())
  })
  const [exitCode] = (await once(child, 'close')) as [number | null]
  await came
  return { exitCode, stderr }
}

test('users of an OpenID provider log in by a browser, and have what their groups have', async (context) => {
  const accounts = new Map<string, TestAccount>([['u-1', { name: 'kim', groups: ['vm-operators'] }]])
  await using provider = await openOpenIdProvider(accounts)
  const lab = await LabUnderTest.start(context)
  const { url, ca } = lab.description.controlPlane
  const secretFile = lab.path('client-secret')
  writeFileSync(secretFile, testClient.secret, { mode: 0o600 })
  await lab.json(
    ...['identity-source', 'add', 'oidc', 'corp', '--issuer', provider.issuer],
    ...['--client-id', testClient.id, '--secret-file', secretFile, '--device-logins'],
  )
  assert.equal((await lab.json<IdentitySourceTest>('identity-source', 'test', 'corp')).works, true)
  await lab.json('group', 'add', 'operators')
  await lab.json('identity-source', 'map-group', 'corp', 'vm-operators', 'operators')
  await lab.json('permission', 'set', '/', '--group', 'operators', '--role', 'ReadOnly')
  const config = ['--config', lab.path('kim.json')]
  const place = ['--url', url, '--ca', ca, '--source', 'corp', ...config]
  const { exitCode, stderr } = await logInBySource(lab, 'u-1', place)
  assert.equal(exitCode, 0, stderr)
  const me = await lab.json<Me>('whoami', ...config)
  assert.deepEqual([me.name, me.source, me.groups], ['kim@corp', 'corp', ['operators']])
  await lab.json('vm', 'list', ...config)
  assert.equal((await lab.json<User[]>('user', 'list')).find(({ name }) => name === 'kim@corp')?.source, 'corp')

  const elsewhere = ['--config', lab.path('kim-elsewhere.json')]
  const terminal = await logInBySource(lab, 'u-1', [
    '--url',
    url,
    '--ca',
    ca,
    '--source',
    'corp',
    '--device',
    ...elsewhere,
  ])
  assert.equal(terminal.exitCode, 0, terminal.stderr)
  assert.equal((await lab.json<Me>('whoami', ...elsewhere)).name, 'kim@corp')

  await lab.json('identity-source', 'disable', 'corp')
  assert.notEqual((await lab.cryptvisor('whoami', ...config)).exitCode, 0, 'sessions are over')
  await lab.json('identity-source', 'enable', 'corp')
  await provider[Symbol.asyncDispose]()
  const gone = await lab.cryptvisor('login', ...place)
  assert.notEqual(gone.exitCode, 0)
  assert.match(gone.stderr, /ECONNREFUSED[\s\S]*users of the control plane itself can log in/)
  assert.equal((await run('grep', ['-rqF', '--exclude=client-secret', testClient.secret, lab.folder])).exitCode, 1)
})
