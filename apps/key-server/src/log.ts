import type { EventSink, ServerEvent } from '@cryptvisor/kmip-server'
import { destination, type Logger, pino } from 'pino'
import type { Config } from './config.ts'

/** Our log: one JSON object a line, on standard error; standard output is for whoever started us. */
export function createLog(level: Config['logLevel']): Logger {
  return pino(
    {
      level,
      base: { service: 'key-server' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination({ fd: 2, sync: true }),
  )
}

/** Writes the events of the KMIP server to the log. */
export function eventsTo(log: Logger): EventSink {
  return (event: ServerEvent) => {
    switch (event.kind) {
      case 'handshake-failed':
        log.warn({ address: event.address, code: event.code }, 'TLS handshake failed')
        break
      case 'connection-refused':
        log.warn({ address: event.address, reason: event.reason }, 'connection refused')
        break
      case 'connection-opened':
        log.debug({ address: event.address, client: event.client }, 'connection opened')
        break
      case 'connection-closed':
        log.debug({ address: event.address, client: event.client, why: event.why }, 'connection closed')
        break
      case 'message-refused':
        log.warn({ client: event.client, code: event.error.code, why: event.error.message }, 'message refused')
        break
      case 'internal-error':
        log.error({ client: event.client, doing: event.doing, err: event.error }, 'internal error')
        break
    }
  }
}
