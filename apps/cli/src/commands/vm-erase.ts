import { readFile, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { type Erasure, type ErasureCertificate, erasureStatementType } from '@cryptvisor/control-plane-api'
import { PkiError, verifyStatement } from '@cryptvisor/pki'
import { Option } from 'commander'
import { approvalSheet, approvalSteps } from '../approval-words.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { readCa, resolvePlace } from '../connection.ts'
import { erasureHtml } from '../erasure-html.ts'
import { erasureText } from '../erasure-words.ts'
import { writeExport } from '../exported-file.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'

/** Far more than a certificate has. */
const statementSizeMax = 16_777_216

const formats = ['text', 'html', 'json', 'jws'] as const

/** `vm erase` and `vm erase-certificate`: a VM's data are lost for good, and somebody can prove it. */
export function addVmErase(vm: CliCommand, cli: Cli): void {
  vm.command('erase')
    .description(
      'crypto-erase: ask for the destruction of every key that a VM’s data was ever encrypted with, in its key servers and in the hosts’ memory, and of its files; a second user has to approve it',
    )
    .argument('<vm>', 'its name or ID')
    .requiredOption('--confirm <name>', 'the VM’s name, typed once more')
    .option('--reason <text>', 'why; shown to whoever approves it, and in the certificate')
    .examples(
      'vm erase db1 --confirm db1 --reason "end of contract"',
      'approval show 0198f2c4-…   (another user, who then runs approval approve)',
      'vm erase-certificate show db1 --format html --out db1.html',
    )
    .section('What goes wrong', [
      'Another VM shares a key (a clone with the same keys): rekey that deeply first; the refusal names it.',
      'A key server is away: nothing is begun; in the middle: the task waits and says for what. It is never done before',
      'the provider confirmed each key. From the first destroyed key on nobody can cancel it.',
      'What it cannot reach, such as backups of the key server, stands in the certificate.',
    ])
    .action(async (name: string, body: { readonly confirm: string; readonly reason?: string }) => {
      const approval = await cli.withClient((client) => client.eraseVm(name, body))
      cli.show(approval, (each) => approvalSheet(each, cli.paint))
      cli.hint('nothing happened yet: another user with Cryptographer.ManageKeys and VirtualMachine.Inventory.Delete')
      cli.hint('has to look at it and approve it:')
      for (const command of approvalSteps(approval)) cli.hint(`  ${command}`)
    })
  const certificate = vm
    .command('erase-certificate')
    .description('certificates of VMs that were erased: what was destroyed, who confirmed it, what it cannot reach')
  certificate
    .command('list')
    .description('list the VMs that were erased, the newest first')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.erasures()).erasures,
        (erasures) =>
          table(
            ['ID', 'VM', 'VM ID', 'ERASED'],
            erasures.map(({ id, vm: of, createdAt }) => [id, of.name, of.id, formatTime(createdAt)]),
          ),
      ),
    )
  certificate
    .command('show')
    .description('show a certificate, or write it into a file; jws is the signed statement, which can be verified')
    .argument('<vm>', 'the name or ID of the VM that was erased, or the ID of the erasure')
    .addOption(new Option('--format <format>', 'how').choices(formats).default('text'))
    .option('--out <file>', 'write it into this file, which must not be there yet')
    .examples('vm erase-certificate show db1', 'vm erase-certificate show db1 --format jws --out db1.jws.json')
    .action(
      async (name: string, { format, out }: { readonly format: (typeof formats)[number]; readonly out?: string }) => {
        const erasure = await cli.withClient((client) => client.erasure(name))
        if (out === undefined) {
          cli.show(erasure, () => formatted(erasure, format))
          return
        }
        const sha256 = await writeExport(out, Readable.from([Buffer.from(formatted(erasure, format))]), () => undefined)
        cli.show({ file: out, sha256 }, () => line(`wrote ${out} (${format})`))
      },
    )
  certificate
    .command('verify')
    .description(
      'check a certificate (its jws) without asking the control plane: that the CA’s signer signed exactly this, and what it says',
    )
    .argument('<file>', 'what «show --format jws» wrote')
    .section('With which CA', ['That of --ca FILE (ca.pem of the control plane), else that of the session.'])
    .examples('vm erase-certificate verify db1.jws.json --ca ca.pem')
    .action(async (path: string) => {
      const { ca: file } = cli.options
      const ca = file === undefined ? (await resolvePlace(cli.options, cli.surroundings)).ca : await readCa(file)
      const verified = verify(await readText(path), ca)
      cli.show(
        verified.certificate,
        (each) => `${erasureText(each)}\n${line(`verified: signed by ${verified.signer}`)}`,
      )
    })
}

function formatted({ statement, certificate }: Erasure, format: (typeof formats)[number]): string {
  switch (format) {
    case 'text':
      return erasureText(certificate)
    case 'html':
      return erasureHtml(certificate, statement)
    case 'json':
      return `${JSON.stringify(certificate, null, 2)}\n`
    case 'jws':
      return statement
  }
}

function verify(text: string, ca: string): { readonly certificate: ErasureCertificate; readonly signer: string } {
  try {
    const { payload, signer } = verifyStatement(text, ca, erasureStatementType)
    // Signed as such a statement by the control plane, which writes nothing else under this type.
    const certificate = payload as ErasureCertificate
    if (certificate.format !== 'cryptvisor/erasure-certificate/1') {
      throw new CliError(
        'bad-statement',
        `it is of a format that this version does not know: ${String(certificate.format)}`,
      )
    }
    return { certificate, signer: `${signer.subject}, certificate ${signer.serialNumber}` }
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause
    throw new CliError('bad-statement', `not verified: ${cause.message}`, {
      next: 'do not rely on it; get it again: cryptvisor vm erase-certificate show VM --format jws',
      cause,
    })
  }
}

async function readText(path: string): Promise<string> {
  try {
    if ((await stat(path)).size > statementSizeMax)
      throw new CliError('bad-file', `${path} is too large for a certificate`)
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
    throw new CliError('bad-file', `${path} cannot be read: ${code}`, { cause })
  }
}
