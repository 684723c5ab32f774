import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { NewSecondFactor, RecoveryCodes, SecondFactorState, User } from '@cryptvisor/control-plane-api'
import { LabUnderTest, run } from './lab-under-test.ts'

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
