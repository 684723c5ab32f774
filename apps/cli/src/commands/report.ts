import { Readable } from 'node:stream'
import type { CoverageReport } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { writeExport } from '../exported-file.ts'
import type { Paint } from '../paint.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'

const formats = ['table', 'csv', 'json', 'html'] as const

/** `report`: what an auditor asks for. */
export function addReport(program: CliCommand, cli: Cli): void {
  const report = program.command('report').description('reports: what an auditor asks for')
  report
    .command('coverage')
    .description(
      'show which part of which VM is encrypted: policy, compliance, key, provider, age of the key, when it was read back last; plain ones first, with totals and percentages',
    )
    .addOption(
      new Option('--format <format>', 'csv is RFC 4180; html is one page to print').choices(formats).default('table'),
    )
    .option('--out <file>', 'write it into this file, which must not be there yet')
    .examples(
      'report coverage',
      'report coverage --format csv --out coverage.csv',
      'report coverage --format html --out coverage.html',
    )
    .action(async ({ format, out }: { readonly format: (typeof formats)[number]; readonly out?: string }) => {
      const asJson = cli.options.json === true && out === undefined
      if (format === 'table' || asJson) {
        if (out !== undefined) {
          throw new CliError('usage', '--out: a table is for the terminal', {
            field: '--out',
            next: 'choose --format csv, json or html',
          })
        }
        const text = await cli.withClient(async (client) => (await Array.fromAsync(client.coverage('json'))).join('\n'))
        // Written by the schema `CoverageReport`.
        cli.show(JSON.parse(text) as CoverageReport, (each) => coverageTable(each, cli.paint))
        return
      }
      await cli.withClient(async (client) => {
        const lines = client.coverage(format)
        if (out === undefined) {
          for await (const each of lines) cli.surroundings.stdout.write(`${each}\n`)
          return
        }
        const sha256 = await writeExport(out, Readable.from(bytesOf(lines)), () => undefined)
        cli.show({ file: out, sha256 }, () => line(`wrote ${out} (${format})`))
      })
    })
}

async function* bytesOf(lines: AsyncIterable<string>): AsyncGenerator<Buffer> {
  for await (const each of lines) yield Buffer.from(`${each}\n`)
}

function coverageTable({ generatedAt, totals, rows }: CoverageReport, paint: Paint): string {
  const total = table(
    [formatTime(generatedAt), 'ALL', 'ENCRYPTED', '%'],
    [
      [
        `VMs (${totals.partialVms} in part, ${totals.plainVms} plain)`,
        totals.vms,
        totals.encryptedVms,
        totals.encryptedVmsPercent,
      ],
      ['disks', totals.disks, totals.encryptedDisks, totals.encryptedDisksPercent],
      ['bytes of disks', totals.bytes, totals.encryptedBytes, totals.encryptedBytesPercent],
    ],
  )
  const parts = table(
    ['VM', 'PART', 'ENCRYPTED', 'POLICY', 'COMPLIANCE', 'KEY', 'KEY AGE', 'KEY STATE', 'LAST VERIFIED'],
    rows.map((row) => [
      row.vm,
      row.part,
      row.encrypted ? paint('green', 'yes') : paint('red', 'no'),
      row.policy,
      row.compliance,
      row.keyId === null ? null : `${row.provider}/${row.keyId}`,
      row.keyAgeDays === null ? null : `${row.keyAgeDays} d`,
      row.keyState,
      row.lastVerified === null ? null : formatTime(row.lastVerified),
    ]),
  )
  return `${total}\n${parts}`
}
