import type { CreateNotification, NotificationTarget } from '@cryptvisor/control-plane-api'
import type { Secret } from '@cryptvisor/secret'
import { Option } from 'commander'
import { texts } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { getPassphrase } from '../passphrase.ts'
import { readPem } from '../pem-file.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

interface Options {
  readonly source?: 'events' | 'audit'
  readonly severity?: 'info' | 'warning' | 'error'
  readonly type?: readonly string[]
  readonly fromStart?: boolean
  readonly serverCa?: string
  readonly secretFile?: string
}

interface EmailOptions extends Options {
  readonly server: string
  readonly security: 'starttls' | 'tls' | 'none'
  readonly from: string
  readonly to: readonly string[]
  readonly user?: string
}

interface SyslogOptions extends Options {
  readonly server: string
  readonly tcp?: boolean
  readonly clientCert?: string
}

/** `notification`: where events and the audit are sent to. */
export function addNotification(program: CliCommand, cli: Cli): void {
  const notification = program
    .command('notification')
    .description('where events, alarms among them, and the audit are sent to; needs Global.Settings')
  const add = notification.command('add').description('send events, or the audit, somewhere: webhook, email or syslog')
  addWebhook(add, cli)
  addEmail(add, cli)
  addSyslog(add, cli)
  notification
    .command('list')
    .description('list the targets, and whether what is sent arrives')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.notifications()).targets,
        (targets) => (targets.length === 0 ? line('no notification targets') : targetTable(targets)),
      ),
    )
  notification
    .command('show')
    .description('show a target: what waits, the last error, what was given up')
    .argument('<name>', 'its name')
    .action((name: string) => cli.showAnswer((client) => client.notification(name), targetSheet))
  notification
    .command('test')
    .description('send a test to a target now, and say whether it was taken')
    .argument('<name>', 'its name')
    .action(async (name: string) => {
      await cli.withClient((client) => client.testNotification(name))
      cli.show({ delivered: name }, () => line(`${name} took the test`))
    })
  notification
    .command('secret')
    .description(
      'give a target its secret, or a new one: signing key, password, or private key of a client certificate',
    )
    .argument('<name>', 'its name')
    .option('--secret-file <file>', 'every byte of this file; when it is left out you are asked')
    .action(async (name: string, { secretFile }: Options) => {
      using secret = await getPassphrase(secretFile, cli.surroundings, 'secret: ', '--secret-file')
      await cli.withClient((client) => client.setNotificationSecret(name, secret))
      cli.show({ changed: name }, () => line(`${name} has a new secret`))
    })
  notification
    .command('remove')
    .description('send nothing there any more; what waits for it is not sent')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('notification target', name, (client) => client.deleteNotification(name)))
}

function addWebhook(add: CliCommand, cli: Cli): void {
  common(add.command('webhook'))
    .description(
      'POST each event to an HTTPS address, signed by HMAC-SHA-256 (Standard Webhooks); http to 127.0.0.1 only',
    )
    .argument('<name>', 'what it is called here')
    .argument('<url>', 'such as https://hooks.example.org/cryptvisor')
    .option('--secret-file <file>', 'the key to sign with: every byte of this file; when it is left out you are asked')
    .examples(
      'notification add webhook pager https://pager.example.org/in --type "alarm.*" --severity warning --secret-file key',
    )
    .action(async (name: string, url: string, options: Options) => {
      const ca = await pem('--server-ca', options.serverCa)
      using secret = await getPassphrase(options.secretFile, cli.surroundings, 'key to sign with: ', '--secret-file')
      await create(cli, { ...filterOf(name, options), webhook: { url, ...(ca === undefined ? {} : { ca }) } }, secret)
    })
}

function addEmail(add: CliCommand, cli: Cli): void {
  common(add.command('email'))
    .description('send mail; events that come together are one mail')
    .argument('<name>', 'what it is called here')
    .requiredOption('--server <host:port>', 'the SMTP server')
    .addOption(
      new Option('--security <how>', 'none: to 127.0.0.1 only')
        .choices(['starttls', 'tls', 'none'])
        .default('starttls'),
    )
    .requiredOption('--from <address>', 'the sender')
    .requiredOption('--to <address>', 'a receiver; give the option once for each', texts)
    .option('--user <name>', 'log in to the server by this name')
    .option('--secret-file <file>', 'the password: every byte of this file; when it is left out you are asked')
    .examples(
      'notification add email ops --server mail.example.org:587 --from cv@example.org --to ops@example.org --severity error',
    )
    .action(async (name: string, options: EmailOptions) => {
      const { security, from, to, user } = options
      const ca = await pem('--server-ca', options.serverCa)
      const email = {
        ...serverOf(options.server),
        security,
        from,
        to: [...to],
        ...(user === undefined ? {} : { user }),
        ...(ca === undefined ? {} : { ca }),
      }
      using secret =
        user === undefined
          ? null
          : await getPassphrase(options.secretFile, cli.surroundings, `password of ${user}: `, '--secret-file')
      await create(cli, { ...filterOf(name, options), email }, secret)
    })
}

function addSyslog(add: CliCommand, cli: Cli): void {
  common(add.command('syslog'))
    .description('send RFC 5424 syslog over TLS (RFC 5425); the receiver is verified')
    .argument('<name>', 'what it is called here')
    .requiredOption('--server <host:port>', 'the receiver, by its usual port 6514')
    .option('--tcp', 'without TLS: to 127.0.0.1 only')
    .option('--client-cert <file>', 'show this certificate (PEM) to the receiver')
    .option('--secret-file <file>', 'the private key (PEM) of the client certificate')
    .examples(
      'notification add syslog siem --server siem.example.org:6514 --ca siem-ca.pem --source audit --from-start',
      'notification add syslog local --server 127.0.0.1:514 --tcp',
    )
    .action(async (name: string, options: SyslogOptions) => {
      const ca = await pem('--server-ca', options.serverCa)
      const clientCertificate = await pem('--client-cert', options.clientCert)
      if (clientCertificate !== undefined && options.secretFile === undefined) {
        throw new CliError('usage', '--secret-file: is missing; the client certificate needs its key')
      }
      const syslog = {
        ...serverOf(options.server),
        transport: options.tcp === true ? ('tcp' as const) : ('tls' as const),
        ...(ca === undefined ? {} : { ca }),
        ...(clientCertificate === undefined ? {} : { clientCertificate }),
      }
      using secret =
        options.secretFile === undefined
          ? null
          : await getPassphrase(options.secretFile, cli.surroundings, '', '--secret-file')
      await create(cli, { ...filterOf(name, options), syslog }, secret)
    })
}

function common(command: CliCommand): CliCommand {
  return command
    .option('--severity <severity>', 'events of this severity and above: info (all), warning, error')
    .option('--type <type>', 'events of this type only; «alarm.*»: of all that begin so; once for each', texts)
    .addOption(new Option('--source <source>', 'what is sent (events)').choices(['events', 'audit']))
    .option('--from-start', 'what is there already, too')
    .option('--server-ca <file>', 'PEM: trust this CA instead of the system’s')
}

async function create(cli: Cli, body: CreateNotification, secret: Secret | null): Promise<void> {
  const target = await cli.withClient(async (client) => {
    const made = await client.createNotification(body)
    if (secret === null) return made
    await client.setNotificationSecret(body.name, secret)
    return client.notification(body.name)
  })
  cli.show(target, targetSheet)
  cli.hint(`try it: cryptvisor notification test ${body.name}`)
}

function filterOf(name: string, { source, severity, type, fromStart }: Options) {
  return {
    name,
    ...(source === undefined ? {} : { source }),
    ...(severity === undefined ? {} : { severity }),
    ...(type === undefined ? {} : { types: [...type] }),
    ...(fromStart === true ? { fromStart } : {}),
  }
}

function serverOf(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/\s[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host !== undefined && port >= 1 && port <= 65_535) return { host, port }
  throw new CliError('usage', '--server: give HOST:PORT, or [ADDRESS]:PORT for IPv6', { field: '--server' })
}

async function pem(option: string, path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : readPem(option, path)
}

function targetTable(targets: readonly NotificationTarget[]): string {
  return table(
    ['NAME', 'KIND', 'SOURCE', 'SEVERITY', 'STATE', 'LAST SENT', 'WHERE'],
    targets.map(({ name, kind, source, severity, state, lastSentAt, address }) => [
      name,
      kind,
      source,
      severity,
      state,
      lastSentAt === null ? null : formatTime(lastSentAt),
      address,
    ]),
  )
}

function targetSheet(target: NotificationTarget): string {
  return sheet([
    ['name', target.name],
    ['kind', target.kind],
    ['where', target.address],
    ['what', `${target.source}, ${target.severity} and above`],
    ['types', target.types.length === 0 ? 'all' : target.types.join(', ')],
    ['state', target.state],
    ['waiting', target.waitingCount],
    ['last sent', target.lastSentAt === null ? null : formatTime(target.lastSentAt)],
    ['failures', target.failedCount],
    ['last error', target.lastError],
    ['next try', target.nextTryAt === null ? null : formatTime(target.nextTryAt)],
    ...target.losses.map(({ firstItem, lastItem, count, error, time }): [string, string] => [
      'given up',
      `${formatTime(time)}: ${count} from ${firstItem} to ${lastItem}: ${error}`,
    ]),
  ])
}
