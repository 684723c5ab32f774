import type { LogRing } from '@cryptvisor/support-bundle'
import { type DestinationStream, type Logger, pino } from 'pino'
import type { Config } from './config.ts'

/** Never logged, wherever somebody may put it by mistake. */
const hidden = ['authorization', 'clientKey', 'cookie', 'headers', 'password', 'privateKey', 'secret', 'token'] as const

/** Our log: one JSON object a line, on standard error unless `destination` says otherwise. */
export function createLog(level: Config['logLevel'], destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { service: 'control-plane' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: hidden.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
    },
    destination ?? standardError(),
  )
}

/** Standard error, and a ring in memory that has the last of it. */
export function kept(ring: LogRing): DestinationStream {
  // What reaches them has the level that the log itself has.
  return pino.multistream([
    { level: 'trace', stream: standardError() },
    { level: 'trace', stream: ring },
  ])
}

const standardError = () => pino.destination({ fd: 2, sync: true })
