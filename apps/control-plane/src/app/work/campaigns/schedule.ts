import { type CampaignPlan, type CampaignWindow, weekdays } from '@cryptvisor/control-plane-api'
import { Cron } from 'croner'
import { ControlPlaneError } from '../../control-plane-error.ts'

const minutesPerDay = 1440

/** Throws `invalid`, naming the field, for times that cannot be read or do not go together. */
export function checkSchedule(plan: CampaignPlan): void {
  const { timeZone, startAt, cron, window } = plan
  if (timeZone !== undefined && !isTimeZone(timeZone)) {
    throw invalid('timeZone', `${timeZone} is none: give an IANA name, such as Europe/Berlin`)
  }
  if (startAt !== undefined && cron !== undefined) {
    throw invalid('startAt', 'goes without cron: give one of both')
  }
  if (startAt !== undefined && !/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/.test(startAt)) {
    throw invalid('startAt', 'expected a time as of RFC 3339, such as 2026-12-01T22:00:00Z')
  }
  if (startAt !== undefined && Number.isNaN(Date.parse(startAt))) throw invalid('startAt', 'there is no such time')
  if (cron !== undefined) parseCron(cron, timeZone)
  if (window !== undefined && new Set(window.days).size < window.days.length) {
    throw invalid('window.days', 'a day is there twice')
  }
}

/** When the first run begins; `null`: by hand alone. In milliseconds since 1970. */
export function firstRunAt(plan: CampaignPlan, now: number): number | null {
  if (plan.cron !== undefined) return nextRunAt(plan, now)
  return plan.startAt === undefined ? now : Math.max(now, Date.parse(plan.startAt))
}

/** When the next run begins, for a campaign that comes again and again; `null`: for any other. */
export function nextRunAt({ cron, timeZone }: CampaignPlan, after: number): number | null {
  if (cron === undefined) return null
  return parseCron(cron, timeZone).nextRun(new Date(after))?.getTime() ?? null
}

/** Whether VMs may be rekeyed at `now`, by the clock on the wall: an hour that is there twice is so twice. */
export function isOpen(window: CampaignWindow | undefined, timeZone: string | undefined, now: number): boolean {
  if (window === undefined) return true
  const { day, minute } = wallClock(now, timeZone ?? 'UTC')
  const from = minuteOf(window.from)
  const until = minuteOf(window.until)
  const began = (days: number) => window.days.includes(dayBefore(day, days))
  if (from < until) return began(0) && minute >= from && minute < until
  // Over midnight: the evening of a day that is named, or the morning after one.
  return (began(0) && minute >= from) || (began(1) && minute < until)
}

function parseCron(cron: string, timeZone: string | undefined): Cron {
  try {
    const parsed = new Cron(cron, { timezone: timeZone ?? 'UTC', paused: true, mode: '5-part' })
    if (parsed.nextRun() !== null) return parsed
  } catch (cause) {
    throw invalid('cron', 'expected five fields: minute, hour, day of the month, month, day of the week', cause)
  }
  throw invalid('cron', 'there is no such time')
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

/** Weekday and minute of the day where the clock shows `now` in `timeZone`. */
function wallClock(now: number, timeZone: string): { day: number; minute: number } {
  const parts = new Intl.DateTimeFormat('en-US', {
    timeZone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(now)
  const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? ''
  const name = part('weekday').toLowerCase()
  const names: readonly string[] = weekdays
  return { day: names.indexOf(name), minute: Number(part('hour')) * 60 + Number(part('minute')) }
}

function dayBefore(day: number, count: number): (typeof weekdays)[number] {
  // The index is one of the seven.
  return weekdays[(day + 7 - count) % 7] as (typeof weekdays)[number]
}

function minuteOf(text: string): number {
  const [hour, minute] = text.split(':').map(Number)
  return ((hour ?? 0) * 60 + (minute ?? 0)) % minutesPerDay
}

function invalid(field: string, why: string, cause?: unknown): ControlPlaneError {
  return new ControlPlaneError('invalid', `${field}: ${why}`, { field, cause })
}
