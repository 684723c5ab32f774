import type {
  CertificateView,
  ClientTrust,
  Health,
  InspectedServer,
  KeyProvider,
  KeyProviderDetail,
  KeyProviderStatus,
} from '@cryptvisor/control-plane-api'
import type { Paint } from '../paint.ts'
import { formatTime } from '../quantity.ts'
import { type Cell, sheet, table } from '../table.ts'
import { keySheets } from './native-words.ts'

/** As it is typed: `HOST:PORT`, or `[ADDRESS]:PORT`. */
export const addressOf = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

export function providerTable(providers: readonly KeyProvider[], paint: Paint): string {
  return table(
    ['NAME', 'KIND', 'DEFAULT', 'HEALTH', 'SERVERS', 'CERTIFICATE UNTIL'],
    providers.map((provider) => [
      provider.name,
      provider.kind,
      provider.isDefault ? 'yes' : 'no',
      healthOf(provider, paint),
      provider.servers.map(addressOf).join(', '),
      provider.clientCertificateExpiresAt === null ? null : formatTime(provider.clientCertificateExpiresAt),
    ]),
  )
}

export function providerSheet(provider: KeyProviderDetail, paint: Paint): string {
  const { status, clientTrust, serverCa } = provider
  const entities = provider.defaultOf.map(({ kind, name }) => `${kind} ${name}`)
  return [
    sheet([
      ['provider', provider.name],
      ...(provider.displayName === null ? [] : [['called', provider.displayName] as const]),
      ['kind', provider.kind],
      ['default of', [...(provider.isDefault ? ['the system'] : []), ...entities].join(', ')],
      ['health', healthOf(provider, paint)],
      ...(provider.missing === null ? [] : [['missing', provider.missing] as const]),
      ...(status === null
        ? []
        : ([
            ['', status.text],
            ['since', formatTime(status.since)],
            ['probed', formatTime(status.probedAt)],
          ] as const)),
    ]),
    ...keySheets(provider),
    ...(provider.native !== null ? [] : ['\n']),
    provider.native !== null
      ? ''
      : table(
          ['SERVER', 'HEALTH', 'TRUSTED BY', 'CERTIFICATE UNTIL', 'SHA-256'],
          provider.servers.map((server) => {
            const probed = status?.servers.find(({ address }) => address === addressOf(server))
            return [
              addressOf(server),
              probed === undefined ? null : paint(probed.health, probed.health),
              server.fingerprint256 !== null ? 'fingerprint' : serverCa.length > 0 ? 'CA' : null,
              probed?.certificate == null ? null : formatTime(probed.certificate.notAfter),
              server.fingerprint256 ?? probed?.certificate?.fingerprint256,
            ]
          }),
        ),
    ...(serverCa.length === 0
      ? []
      : ['\n', sheet(serverCa.flatMap((certificate) => certificateRows('trusted CA', certificate)))]),
    ...(clientTrust === null ? [] : ['\n', trustSheet(clientTrust)]),
  ].join('')
}

/** Both client certificates, and what to do next. */
export function trustSheet({ active, prepared, next }: ClientTrust): string {
  return sheet([
    ...(active?.certificate == null
      ? [['client certificate', null] as const]
      : [
          ...certificateRows('client certificate', active.certificate),
          ['way', wayWords[active.way]] as const,
          ['renews', active.renewAt === null ? 'by hand' : `from ${formatTime(active.renewAt)} on`] as const,
        ]),
    ...(prepared === null
      ? []
      : prepared.certificate === null
        ? [['prepared', 'a request that is to be signed'] as const, ['way', wayWords[prepared.way]] as const]
        : [...certificateRows('prepared', prepared.certificate), ['way', wayWords[prepared.way]] as const]),
    ...(next === null ? [] : [['next', next] as const]),
  ])
}

export function statusSheet(status: KeyProviderStatus, paint: Paint): string {
  const colour = (value: Health) => paint(value, value)
  return `${sheet([
    ['provider', status.name],
    ['health', colour(status.health)],
    ['', status.text],
    ['since', formatTime(status.since)],
  ])}\n${table(
    ['SERVER', 'HEALTH', 'KMIP', 'VENDOR', 'ROUND TRIP', 'CERTIFICATE UNTIL', 'TEXT'],
    status.servers.map((server) => [
      server.address,
      colour(server.health),
      server.protocolVersion,
      server.vendor,
      server.roundTripMs === null ? null : `${Math.round(server.roundTripMs)} ms`,
      server.certificate === null ? null : formatTime(server.certificate.notAfter),
      server.text,
    ]),
  )}`
}

/** What a server showed, for a person to compare. */
export function inspectedSheet(server: InspectedServer): string {
  return sheet([
    ['server', addressOf(server)],
    ...(server.certificate === null
      ? [['problem', server.problem] as const]
      : ([
          ['subject', server.certificate.subject],
          ['issuer', server.certificate.issuer],
          ['valid', `${formatTime(server.certificate.notBefore)} to ${formatTime(server.certificate.notAfter)}`],
          ['SHA-256', server.certificate.fingerprint256.match(/../g)?.join(':').toUpperCase()],
        ] as const)),
  ])
}

const wayWords = {
  'root-ca': 'root-ca: the key server trusts the control plane’s CA',
  'self-signed': 'self-signed: the certificate itself is registered at the key server',
  upload: 'upload: certificate and key came from the key server',
  csr: 'csr: the key server’s CA signed a request',
} as const

function certificateRows(title: string, certificate: CertificateView): (readonly [string, Cell])[] {
  return [
    [title, certificate.subject],
    ['issuer', certificate.issuer],
    ['valid until', formatTime(certificate.notAfter)],
    ['SHA-256', certificate.fingerprint256],
  ]
}

function healthOf({ missing, health }: KeyProvider, paint: Paint): Cell {
  if (missing !== null) return 'not set up'
  return health === null ? 'not probed yet' : paint(health, health)
}
