import type { InspectedServer, KmipServerWish } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { InvalidArgumentError } from 'commander'
import type { ServerAddress } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import { confirm } from '../confirm.ts'
import { addressOf, inspectedSheet } from './words.ts'

/** Collects SHA-256 fingerprints, with or without colons, one per option; gives 64 digits in lower case each. */
export function fingerprints(text: string, before: readonly string[] = []): readonly string[] {
  const digits = text.replaceAll(':', '').toLowerCase()
  if (!/^[0-9a-f]{64}$/.test(digits)) {
    throw new InvalidArgumentError('give a SHA-256 fingerprint: 64 hexadecimal digits, with or without colons')
  }
  return [...before, digits]
}

/**
 * Shows what the servers show and has a person say that it is theirs, unless all of it is in `accepted`. Gives the servers
 * with their certificates pinned. Throws `CliError` where one cannot be asked, its certificate is over, or nobody said yes.
 */
export async function pinServers(
  cli: Cli,
  client: ControlPlaneClient,
  servers: readonly ServerAddress[],
  accepted: readonly string[],
): Promise<KmipServerWish[]> {
  const inspected = await Promise.all(servers.map((server) => client.inspectKeyServer(server)))
  const silent = inspected.find(({ certificate }) => certificate === null)
  if (silent !== undefined) {
    throw new CliError('unreachable', `${addressOf(silent)} shows no certificate: ${silent.problem}`, {
      next: 'mend that, or give --server-ca; «key-provider add» takes --trust-later, too',
    })
  }
  const ended = inspected.find(({ certificate }) => Date.parse(certificate?.notAfter ?? '') <= Date.now())
  if (ended !== undefined) {
    cli.surroundings.stderr.write(`${inspectedSheet(ended)}\n`)
    throw new CliError('check-failed', `the certificate of ${addressOf(ended)} is over, and no trust makes it good`, {
      next: 'renew it at the key server, then run this command again',
    })
  }
  const unknown = inspected.filter(({ certificate }) => !accepted.includes(certificate?.fingerprint256 ?? ''))
  if (unknown.length > 0) await ask(cli, unknown, accepted)
  return inspected.map(({ host, port, certificate }) => ({
    host,
    port,
    ...(certificate === null ? {} : { fingerprint256: certificate.fingerprint256 }),
  }))
}

async function ask(cli: Cli, unknown: readonly InspectedServer[], accepted: readonly string[]): Promise<void> {
  const { stderr } = cli.surroundings
  const options = unknown.map(({ certificate }) => `--accept-fingerprint ${certificate?.fingerprint256}`).join(' ')
  stderr.write(`${unknown.map(inspectedSheet).join('\n')}\n`)
  if (accepted.length > 0) {
    throw new CliError(
      'check-failed',
      `${unknown.map(addressOf).join(', ')} shows another certificate than the accepted one`,
      {
        next: `compare it with what the key server itself says; if it is right: ${options}`,
      },
    )
  }
  await confirm(
    cli.surroundings,
    'Compare each fingerprint with what the key server itself says. Trust these certificates?',
    `compare the fingerprint with what the key server itself says; if it is right: ${options}`,
  )
}
