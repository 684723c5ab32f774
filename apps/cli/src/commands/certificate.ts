import type { CertificateEntry } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import type { Paint } from '../paint.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'

/** `certificate`: everything that ends some day. */
export function addCertificate(program: CliCommand, cli: Cli): void {
  const certificate = program
    .command('certificate')
    .description('certificates: of the control plane, its CA, hosts, and between it and key servers')
  certificate
    .command('list')
    .description(
      'list all certificates with their end, those that end first at the top, and whether they renew themselves',
    )
    .examples('certificate list')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.certificates()).certificates,
        (found) => certificateTable(found, cli.paint),
      ),
    )
}

/** `host renew-certificate`. */
export function addHostCertificate(host: CliCommand, cli: Cli): void {
  host
    .command('renew-certificate')
    .description(
      'have a connected host make a new key and ask for a new certificate now; by itself it does so at two thirds of the life of the present one. A host whose certificate is over cannot connect: «host enroll» it again, which keeps its ID, keys and VMs',
    )
    .argument('<host>', 'its name or ID')
    .examples('host renew-certificate host-a')
    .action(async (name: string) => {
      await cli.withClient((client) => client.renewHostCertificate(name))
      cli.show({ host: name, asked: true }, () => line(`host ${name} was asked to renew its certificate`))
      cli.hint(`see it: cryptvisor event list --type host.certificate-renewed --host ${name}`)
    })
}

function certificateTable(found: readonly CertificateEntry[], paint: Paint): string {
  return table(
    ['WHAT', 'ENDS', 'DAYS LEFT', 'RENEWS ITSELF', 'SUBJECT'],
    found.map((each) => [
      each.what,
      formatTime(each.notAfter),
      paint(each.state === 'green' ? 'green' : each.state === 'yellow' ? 'yellow' : 'red', String(each.daysLeft)),
      each.renewsItself ? 'yes' : 'no',
      each.subject,
    ]),
  )
}
