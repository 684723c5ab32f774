import { readCertificate } from '@cryptvisor/pki'
import type { Kysely, Transaction } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { timeText } from '../clock.ts'
import { certificatesOfProviders } from '../key-providers/provider-certificates.ts'
import type { AlarmDefinition, StandingList } from './alarm-definition.ts'

const dayMs = 86_400_000

/** One stage before the end of a certificate; its alarm is over when the next one's begins. */
interface Stage {
  readonly name: string
  readonly title: string
  readonly severity: AlarmDefinition['severity']
  readonly days: number
  /** Where the next stage begins; `null`: there is none. */
  readonly nextDays: number | null
}

const stages: readonly Stage[] = [
  { name: '60-days', title: 'A certificate ends within 60 days', severity: 'yellow', days: 60, nextDays: 30 },
  { name: '30-days', title: 'A certificate ends within 30 days', severity: 'yellow', days: 30, nextDays: 7 },
  { name: '7-days', title: 'A certificate ends within 7 days', severity: 'red', days: 7, nextDays: 0 },
  { name: 'expired', title: 'A certificate is over', severity: 'red', days: 0, nextDays: null },
]

/**
 * Alarms 60, 30 and 7 days before the end of each certificate, and when it is over: those shown to key servers, key
 * servers' own as they were seen last, hosts', and that of the control plane's authority (`ca`, PEM).
 */
export function certificateAlarms(ca: string): AlarmDefinition[] {
  return stages.map(({ name, title, severity, days, nextDays }) => ({
    name: `certificate.${name}`,
    title,
    severity,
    objectKind: 'certificate',
    raisedBy: [],
    clearedBy: [],
    look: async (database, now) => {
      const within = (end: number) => end <= now + days * dayMs && (nextDays === null || end > now + nextDays * dayMs)
      const found = (await certificatesIn(database, ca)).filter(({ notAfter }) => within(notAfter))
      return { holds: found.map((each) => standing(each, now)) }
    },
    advice:
      'Those of hosts, and clients’ under our own CA, renew themselves while both sides can be reached; others have to be made anew: «certificate list» names them, docs/hosts.md and docs/key-providers.md say how',
  }))
}

interface KnownCertificate {
  readonly object: string
  readonly notAfter: number
}

function standing({ object, notAfter }: KnownCertificate, now: number): StandingList['holds'][number] {
  return { object, text: `The ${object} ${notAfter <= now ? 'is over since' : 'ends at'} ${timeText(notAfter)}` }
}

async function certificatesIn(database: Kysely<Schema> | Transaction<Schema>, ca: string): Promise<KnownCertificate[]> {
  const hosts = await database.selectFrom('host').select(['name', 'certificate_expires_at']).execute()
  const providers = await certificatesOfProviders(database)
  return [
    { object: 'certificate of the control plane’s authority', notAfter: readCertificate(ca).notAfter.getTime() },
    ...hosts.map(({ name, certificate_expires_at: notAfter }) => ({ object: `certificate of host ${name}`, notAfter })),
    ...providers.map(({ kind, provider, server, notAfter }) => ({
      object:
        kind === 'client'
          ? `client certificate of key provider ${provider}`
          : `certificate of key server ${server} of key provider ${provider}`,
      notAfter,
    })),
  ]
}
