import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CampaignPlan, CampaignWindow } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { checkSchedule, firstRunAt, isOpen, nextRunAt } from './schedule.ts'

const plan = (more: Partial<CampaignPlan>): CampaignPlan => ({ selection: {}, depth: 'shallow', ...more })
const at = (text: string) => Date.parse(text)

test('a window over midnight belongs to the day on which it began', () => {
  const window: CampaignWindow = { days: ['fri'], from: '22:00', until: '05:00' }
  // 2026-11-27 is a Friday.
  for (const [time, open] of [
    ['2026-11-27T21:59:59Z', false],
    ['2026-11-27T22:00:00Z', true],
    ['2026-11-28T04:59:59Z', true],
    ['2026-11-28T05:00:00Z', false],
    ['2026-11-28T22:30:00Z', false],
    ['2026-11-27T03:00:00Z', false],
  ] as const) {
    assert.equal(isOpen(window, undefined, at(time)), open, time)
  }
})

test('a window is by the clock of its time zone, in summer and in winter', () => {
  const window: CampaignWindow = { days: ['sun'], from: '01:00', until: '04:00' }
  const zone = 'Europe/Berlin'
  // The clocks went forward on 2026-03-29 at 01:00 UTC and go back on 2026-10-25 at 01:00 UTC.
  for (const [time, open] of [
    ['2026-03-28T23:59:00Z', false],
    ['2026-03-29T00:00:00Z', true],
    ['2026-03-29T01:59:00Z', true],
    ['2026-03-29T02:00:00Z', false],
    ['2026-10-24T23:00:00Z', true],
    ['2026-10-25T00:30:00Z', true],
    ['2026-10-25T01:30:00Z', true],
    ['2026-10-25T02:59:00Z', true],
    ['2026-10-25T03:00:00Z', false],
  ] as const) {
    assert.equal(isOpen(window, zone, at(time)), open, time)
  }
})

test('the same time twice is the whole day; no window is always open', () => {
  const window: CampaignWindow = { days: ['mon'], from: '08:00', until: '08:00' }
  assert.equal(isOpen(window, undefined, at('2026-11-23T08:00:00Z')), true)
  assert.equal(isOpen(window, undefined, at('2026-11-24T07:59:00Z')), true)
  assert.equal(isOpen(window, undefined, at('2026-11-24T08:00:00Z')), false)
  assert.equal(isOpen(undefined, undefined, 0), true)
})

test('runs come when the schedule says', () => {
  const now = at('2026-11-24T12:00:00Z')
  assert.equal(firstRunAt(plan({}), now), now)
  assert.equal(firstRunAt(plan({ startAt: '2026-12-01T00:00:00+01:00' }), now), at('2026-11-30T23:00:00Z'))
  assert.equal(firstRunAt(plan({ startAt: '2026-01-01T00:00:00Z' }), now), now, 'what is past begins at once')
  const monthly = plan({ cron: '0 3 1 * *', timeZone: 'Europe/Berlin' })
  assert.equal(firstRunAt(monthly, now), at('2026-12-01T02:00:00Z'))
  assert.equal(nextRunAt(monthly, at('2026-03-31T12:00:00Z')), at('2026-04-01T01:00:00Z'))
  assert.equal(nextRunAt(plan({}), now), null)
})

test('what cannot be read is refused by name', () => {
  for (const [field, wrong] of [
    ['timeZone', { timeZone: 'Mars/Olympus' }],
    ['startAt', { startAt: 'tomorrow' }],
    ['startAt', { startAt: '2026-12-01T00:00:00Z', cron: '0 0 * * *' }],
    ['startAt', { startAt: '2026-13-41T00:00:00Z' }],
    ['cron', { cron: 'daily' }],
    ['cron', { cron: '61 0 * * *' }],
    ['cron', { cron: '0 0 30 2 *' }],
    ['cron', { cron: '* * * * * *' }],
    ['window.days', { window: { days: ['mon', 'mon'], from: '01:00', until: '02:00' } }],
  ] as const) {
    assert.throws(
      () => checkSchedule(plan(wrong as Partial<CampaignPlan>)), // Wrong on purpose.
      (error) => error instanceof ControlPlaneError && error.code === 'invalid' && error.field === field,
      JSON.stringify(wrong),
    )
  }
})
