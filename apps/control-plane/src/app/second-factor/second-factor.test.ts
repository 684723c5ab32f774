import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openAccessPlane } from '../../testing/access-plane.ts'
import { failuresFree } from '../lock-out.ts'
import { toBase32 } from './base32.ts'
import { newRecoveryCodes, recoveryCodeCount } from './recovery-codes.ts'
import { codeOf, stepAt, stepOf } from './totp.ts'

const home = '192.0.2.1'
const stepMs = 30_000

/** What was shown once, as an authenticator has it. */
function fromBase32(text: string): Buffer {
  const bits = [...text].map((each) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(each).toString(2).padStart(5, '0'))
  const bytes = bits.join('').match(/.{8}/g) ?? []
  return Buffer.from(bytes.map((each) => Number.parseInt(each, 2)))
}

/** A plane on which `kim` has a second factor. */
async function withSecondFactor() {
  const plane = await openAccessPlane()
  await plane.addUser('kim', 'ReadOnly')
  const kim = await plane.logIn('kim')
  const { secret, uri } = await plane.secondFactors.enroll(kim)
  const key = fromBase32(secret)
  const code = (stepsOn = 0) => codeOf(key, stepAt(plane.now()) + stepsOn)
  const { recoveryCodes } = await plane.secondFactors.confirm(kim, code())
  const logIn = (given?: string) => plane.logIn('kim', plane.password, home, given)
  return { plane, kim, uri, secret, code, recoveryCodes, logIn }
}

test('the codes are those of RFC 6238, appendix B, and base32 is that of RFC 4648, 10', () => {
  const secret = Buffer.from('12345678901234567890')
  const vectors = [
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130'],
  ] as const
  for (const [seconds, code] of vectors) assert.equal(codeOf(secret, stepAt(seconds * 1000), 8), code)
  const texts = ['', 'MY', 'MZXQ', 'MZXW6', 'MZXW6YQ', 'MZXW6YTB', 'MZXW6YTBOI']
  for (const [size, text] of texts.entries()) assert.equal(toBase32(Buffer.from('foobar'.slice(0, size))), text)
})

test('clocks may differ by one step and no more, and no step counts again', () => {
  const secret = Buffer.from('12345678901234567890')
  const now = 1_000 * stepMs
  for (const aside of [-1, 0, 1]) assert.equal(stepOf(secret, codeOf(secret, 1_000 + aside), now, 0), 1_000 + aside)
  for (const aside of [-2, 2]) assert.equal(stepOf(secret, codeOf(secret, 1_000 + aside), now, 0), null)
  assert.equal(stepOf(secret, codeOf(secret, 1_000), now, 1_000), null)
  for (const wrong of ['', '12345', '1234567', 'äöüß€x', '      ']) assert.equal(stepOf(secret, wrong, now, 0), null)
})

test('recovery codes differ and have one form', () => {
  const codes = newRecoveryCodes()
  assert.equal(new Set(codes).size, recoveryCodeCount)
  for (const code of codes) assert.match(code, /^([a-z2-7]{4}-){3}[a-z2-7]{4}$/)
})

test('what was begun and not confirmed asks nobody for a code', async () => {
  await using plane = await openAccessPlane()
  await plane.addUser('kim')
  const kim = await plane.logIn('kim')
  const { uri, secret } = await plane.secondFactors.enroll(kim)
  assert.equal(
    uri,
    `otpauth://totp/Cryptvisor:kim?secret=${secret}&issuer=Cryptvisor&algorithm=SHA1&digits=6&period=30`,
  )
  await plane.logIn('kim')
  const wrong = codeOf(fromBase32(secret), stepAt(plane.now()) + 5)
  await assert.rejects(plane.secondFactors.confirm(kim, wrong), { code: 'invalid', field: 'code' })
  await plane.logIn('kim')
})

test('after it is confirmed a login needs a code, each code counts once, and other sessions are over', async () => {
  const { plane, kim, code, logIn } = await withSecondFactor()
  await using _ = plane
  assert.notEqual(await plane.bearers.refresh(kim), null)
  await assert.rejects(logIn(), { code: 'second-factor-required' })
  await assert.rejects(logIn(code()), { code: 'second-factor-required' }, 'the code that confirmed counts no more')
  plane.pass(stepMs)
  const used = code()
  await logIn(used)
  await assert.rejects(logIn(used), { code: 'second-factor-required' })
  await assert.rejects(plane.logIn('kim', 'not the password', home, code(1)), { code: 'not-logged-in' })
  await logIn(code(1))
})

test('wrong codes lock out as wrong passwords do, also where the second factor is to be taken off', async () => {
  const { plane, kim, code, logIn } = await withSecondFactor()
  await using _ = plane
  plane.pass(stepMs)
  for (let count = 1; count < failuresFree; count++) {
    await assert.rejects(logIn('000000'), { code: 'second-factor-required' })
  }
  await assert.rejects(plane.logins.disableSecondFactor(kim, '000000', home), { code: 'invalid' })
  await assert.rejects(logIn(code()), { code: 'not-logged-in' })
  await assert.rejects(plane.logins.disableSecondFactor(kim, code(), home), { code: 'invalid' })
  plane.pass(stepMs)
  await plane.logins.disableSecondFactor(kim, code(), home)
  await logIn()
  await assert.rejects(plane.logins.disableSecondFactor(kim, code(1), home), {
    code: 'invalid',
    message: /you have no/,
  })
})

test('a recovery code stands in once, and is told of', async () => {
  const { plane, kim, recoveryCodes, logIn } = await withSecondFactor()
  await using _ = plane
  const [first = '', second = ''] = recoveryCodes
  await logIn(first.toUpperCase().replaceAll('-', ' '))
  await assert.rejects(logIn(first), { code: 'second-factor-required' })
  await logIn(second)
  assert.equal((await plane.secondFactors.state(kim)).recoveryCodesLeft, recoveryCodeCount - 2)
  const events = await plane.events.list({ type: 'user.second-factor-changed', limit: 10 })
  assert.equal(events.filter(({ text }) => text.includes('recovery code')).length, 2)
})

test('an administrator resets it for others: sessions end, no code is needed; who has less does not', async () => {
  const { plane, kim, logIn } = await withSecondFactor()
  await using _ = plane
  assert.deepEqual(
    (await plane.users.list()).map(({ name, secondFactor }) => [name, secondFactor]),
    [
      ['admin', false],
      ['kim', true],
    ],
  )
  const { secret } = await plane.secondFactors.enroll(plane.admin)
  await plane.secondFactors.confirm(plane.admin, codeOf(fromBase32(secret), stepAt(plane.now())))
  await assert.rejects(plane.secondFactors.reset('admin', kim), { code: 'no-privilege' })
  await plane.secondFactors.reset('kim', plane.admin)
  assert.equal(await plane.bearers.refresh(kim), null)
  await logIn()
  await assert.rejects(plane.secondFactors.reset('kim', plane.admin), { code: 'not-found' })
  await plane.users.setAdministrator('admin', plane.password)
  await plane.logIn('admin')
})

test('where it is required, who has none lacks it, in open sessions too; an API token does not', async () => {
  await using plane = await openAccessPlane()
  await plane.addUser('kim', 'ReadOnly')
  const kim = await plane.logIn('kim')
  await assert.rejects(plane.secondFactors.setRule({ secondFactor: 'administrators' }, plane.admin), {
    field: 'secondFactor',
  })
  const { secret } = await plane.secondFactors.enroll(plane.admin)
  await plane.secondFactors.confirm(plane.admin, codeOf(fromBase32(secret), stepAt(plane.now())))
  await plane.secondFactors.setRule({ secondFactor: 'administrators' }, plane.admin)
  assert.equal((await plane.again(kim)).lacksSecondFactor, false)
  await plane.secondFactors.setRule({ secondFactor: 'everybody' }, plane.admin)
  assert.equal((await plane.again(kim)).lacksSecondFactor, true)
  assert.equal((await plane.again(plane.admin)).lacksSecondFactor, false)
  const mine = await plane.secondFactors.enroll(kim)
  await plane.secondFactors.confirm(kim, codeOf(fromBase32(mine.secret), stepAt(plane.now())))
  assert.equal((await plane.again(kim)).lacksSecondFactor, false)
})

test('the database has neither the secret nor a recovery code', async () => {
  const { plane, secret, recoveryCodes } = await withSecondFactor()
  await using _ = plane
  const [row] = await plane.database.selectFrom('second_factor').selectAll().execute()
  assert.ok(row !== undefined)
  assert.ok(!Buffer.from(row.sealed_secret).includes(fromBase32(secret)))
  const kept = JSON.stringify(await plane.database.selectFrom('recovery_code').selectAll().execute())
  for (const code of recoveryCodes) assert.ok(!kept.includes(code.replaceAll('-', '')) && !kept.includes(code))
})
