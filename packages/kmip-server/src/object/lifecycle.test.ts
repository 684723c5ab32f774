import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attribute, type RevocationReasonCode, type State } from '@cryptvisor/kmip'
import fc from 'fast-check'
import { createRequest, Harness } from '../testing/processor-harness.ts'
import { type LifecycleEvent, nextState } from './lifecycle.ts'

const past = new Date('2026-05-01T00:00:00Z')
const future = new Date('2026-07-01T00:00:00Z')
const later = new Date('2026-08-01T00:00:00Z')

test('the table of states is that of the standard', () => {
  const events: readonly LifecycleEvent[] = ['activate', 'deactivate', 'compromise', 'destroy']
  const expected: Record<State, readonly (State | null)[]> = {
    PreActive: ['Active', null, 'Compromised', 'Destroyed'],
    Active: [null, 'Deactivated', 'Compromised', null],
    Deactivated: [null, null, 'Compromised', 'Destroyed'],
    Compromised: [null, null, null, 'DestroyedCompromised'],
    Destroyed: [null, null, 'DestroyedCompromised', null],
    DestroyedCompromised: [null, null, null, null],
  }
  for (const [state, next] of Object.entries(expected)) {
    // The keys of the literal are states.
    assert.deepEqual(
      events.map((event) => nextState(state as State, event)),
      next,
      state,
    )
  }
})

test('no sequence of operations leads back, or out of the table', async () => {
  const operation = fc.constantFrom('activate', 'revoke', 'compromise', 'destroy')
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 6 }), async (operations) => {
      const harness = new Harness()
      const id = await harness.create()
      let expected: State = 'PreActive'
      for (const name of operations) {
        const event = name === 'revoke' ? 'deactivate' : name
        const reason = name === 'compromise' ? ('KeyCompromise' as const) : ('Superseded' as const)
        const item =
          name === 'activate'
            ? await harness.item('Activate', { uniqueIdentifier: id })
            : name === 'destroy'
              ? await harness.item('Destroy', { uniqueIdentifier: id })
              : await harness.item('Revoke', {
                  uniqueIdentifier: id,
                  revocationReason: { revocationReasonCode: reason },
                })
        const next = nextState(expected, event)
        assert.equal(item.resultStatus, next === null ? 'OperationFailed' : 'Success', `${name} in ${expected}`)
        expected = next ?? expected
        assert.equal(await harness.state(id), expected)
      }
    }),
    { numRuns: 60 },
  )
})

test('dates act by themselves', async () => {
  const harness = new Harness()
  const active = await harness.create([attribute('Activation Date', past)])
  assert.equal(await harness.state(active), 'Active')
  const ended = await harness.create([attribute('Activation Date', past), attribute('Deactivation Date', past)])
  assert.equal(await harness.state(ended), 'Deactivated')
  const planned = await harness.create([attribute('Activation Date', future), attribute('Deactivation Date', later)])
  assert.equal(await harness.state(planned), 'PreActive')
  assert.deepEqual(await harness.locate(attribute('State', 'PreActive')), [planned])
  harness.now = future
  assert.equal(await harness.state(planned), 'Active')
  assert.deepEqual(await harness.locate(attribute('State', 'PreActive')), [])
  assert.deepEqual(await harness.locate(attribute('State', 'Active')), [planned, active])
  await harness.fails('Destroy', { uniqueIdentifier: planned }, 'PermissionDenied')
  harness.now = later
  assert.equal(await harness.state(planned), 'Deactivated')
  const [changed] = await harness.attributes(planned, 'Last Change Date')
  assert.deepEqual(changed?.attributeValue, later)
  await harness.ok('Destroy', { uniqueIdentifier: planned })
})

test('a Deactivation Date alone does not make a Pre-Active key Deactivated', async () => {
  const harness = new Harness()
  const id = await harness.create([attribute('Deactivation Date', past)])
  assert.equal(await harness.state(id), 'PreActive')
})

test('dates that contradict each other are refused', async () => {
  const harness = new Harness()
  for (const [earlier, second] of [
    ['Activation Date', 'Deactivation Date'],
    ['Activation Date', 'Process Start Date'],
    ['Protect Stop Date', 'Deactivation Date'],
  ] as const) {
    await harness.fails('Create', createRequest([attribute(earlier, later), attribute(second, future)]), 'InvalidField')
    await harness.create([attribute(earlier, future), attribute(second, later)])
  }
})

test('Activate, Revoke and Destroy leave their dates and reasons', async () => {
  const harness = new Harness()
  const now = new Date('2026-06-01T12:00:00Z')
  const held = async (id: string, name: string) => (await harness.attributes(id, name))[0]?.attributeValue
  const id = await harness.create()
  await harness.ok('Activate', { uniqueIdentifier: id })
  assert.deepEqual(await held(id, 'Activation Date'), now)
  const revocationReason = { revocationReasonCode: 'CessationOfOperation', revocationMessage: 'over' } as const
  await harness.ok('Revoke', { uniqueIdentifier: id, revocationReason })
  assert.deepEqual(await held(id, 'Deactivation Date'), now)
  assert.deepEqual(await held(id, 'Revocation Reason'), revocationReason)
  assert.equal(await held(id, 'Compromise Date'), undefined)
  await harness.ok('Destroy', { uniqueIdentifier: id })
  assert.deepEqual(await held(id, 'Destroy Date'), now)

  for (const compromiseOccurrenceDate of [past, undefined]) {
    const compromised = await harness.create()
    await harness.ok('Revoke', {
      uniqueIdentifier: compromised,
      revocationReason: { revocationReasonCode: 'CACompromise' },
      ...(compromiseOccurrenceDate === undefined ? {} : { compromiseOccurrenceDate }),
    })
    assert.equal(await harness.state(compromised), 'Compromised')
    assert.deepEqual(await held(compromised, 'Compromise Date'), now)
    assert.deepEqual(await held(compromised, 'Compromise Occurrence Date'), compromiseOccurrenceDate ?? now)
  }
})

test('reasons for refusals in each state', async () => {
  const harness = new Harness()
  const revoke = (id: string, code: keyof typeof RevocationReasonCode) =>
    ({ uniqueIdentifier: id, revocationReason: { revocationReasonCode: code } }) as const
  const id = await harness.create()
  await harness.fails('Revoke', revoke(id, 'Unspecified'), 'IllegalOperation')
  await harness.ok('Activate', { uniqueIdentifier: id })
  await harness.fails('Activate', { uniqueIdentifier: id }, 'PermissionDenied')
  const advice = await harness.fails('Destroy', { uniqueIdentifier: id }, 'PermissionDenied')
  assert.match(advice, /revoke it first/)
  await harness.ok('Revoke', revoke(id, 'Superseded'))
  await harness.ok('Get', { uniqueIdentifier: id })
  await harness.ok('Destroy', { uniqueIdentifier: id })
  await harness.fails('Destroy', { uniqueIdentifier: id }, 'PermissionDenied')
  await harness.fails('Get', { uniqueIdentifier: id }, 'ItemNotFound')
  await harness.ok('GetAttributes', { uniqueIdentifier: id, attributeName: [] })
  assert.deepEqual(await harness.locate(), [])
})
