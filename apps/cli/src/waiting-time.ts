import { destroyAfterSecondsMax } from '@cryptvisor/control-plane-api'
import { InvalidArgumentError } from 'commander'

const secondsOf = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** An `argParser` for a time in seconds: `7d`, `12h`, `30m`, `90s` or `0`. */
export function waitingTime(text: string): number {
  const match = /^(\d{1,9})([smhd])?$/.exec(text)
  // The pattern has these units alone.
  const unit = match?.[2] as keyof typeof secondsOf | undefined
  const seconds = match === null ? Number.NaN : Number(match[1]) * (unit === undefined ? 1 : secondsOf[unit])
  if ((unit === undefined && seconds !== 0) || !(seconds <= destroyAfterSecondsMax)) {
    throw new InvalidArgumentError('give a time such as 7d, 12h, 30m or 90s, at most 365d; 0: at once')
  }
  return seconds
}
