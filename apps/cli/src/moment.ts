import { InvalidArgumentError } from 'commander'

const unitMs = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

/**
 * An `argParser` for points in time: RFC 3339 (`2026-11-24T12:00:00Z`), a day (`2026-11-24`, midnight of the user's
 * clock), or so long ago (`30m`, `12h`, `7d`, `2w`). Gives RFC 3339.
 */
export function moment(now: () => number): (text: string) => string {
  return (text) => {
    const ago = /^(\d{1,5})([mhdw])$/.exec(text)
    // The pattern allows these units only.
    if (ago !== null) return new Date(now() - Number(ago[1]) * unitMs[ago[2] as keyof typeof unitMs]).toISOString()
    const day = /^\d{4}-\d\d-\d\d$/.test(text)
    const whole = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?$/i.test(text)
    const time = day ? Date.parse(`${text}T00:00:00`) : whole ? Date.parse(text.replace(' ', 'T')) : Number.NaN
    if (Number.isNaN(time)) {
      throw new InvalidArgumentError(
        'give a time such as 2026-11-24T12:00:00Z, 2026-11-24, or 12h or 7d for so long ago',
      )
    }
    return new Date(time).toISOString()
  }
}
