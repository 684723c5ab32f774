import { Readable } from 'node:stream'
import type { AuditCheck, AuditQuery, AuditRecord } from '@cryptvisor/control-plane-api'
import { InvalidArgumentError, Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { type AuditFile, checkAuditFile } from '../audit-file.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { requireFree, writeExport } from '../exported-file.ts'
import { moment } from '../moment.ts'
import { line, printable } from '../printable.ts'
import { formatTime } from '../quantity.ts'

/** `audit`: who did what to what, with which result, in a chain that shows every later change. */
export function addAudit(program: CliCommand, cli: Cli): void {
  const audit = program
    .command('audit')
    .description('the audit: who did what to what, with which result; needs Global.Diagnostics')
  addList(audit, cli)
  addVerify(audit, cli)
  addExport(audit, cli)
  addPrune(audit, cli)
}

function addList(audit: CliCommand, cli: Cli): void {
  const time = moment(Date.now)
  audit
    .command('list')
    .description('list records: requests that change something or were refused, events, keys fetched and handed over')
    .option('--user <name>', 'those of this user only; «system»: by the control plane itself; «-»: nobody known')
    .addOption(new Option('--kind <kind>', 'those of this kind only').choices(['request', 'event', 'key']))
    .option('--key-id <id>', 'those about this key only')
    .option('--outcome <code>', 'those that ended so only: success, or the code of an error such as no-privilege')
    .option('--since <time>', 'not before: 2026-11-24T12:00:00Z, 2026-11-24, or 12h or 7d for so long ago', time)
    .option('--until <time>', 'before this', time)
    .option('--before <n>', 'only records before this one: the page that follows', wholeNumber(1, 10 ** 12))
    .option('--limit <n>', 'at most so many (100, when it is left out)', wholeNumber(1, 1000))
    .examples('audit list --outcome no-privilege --since 7d', 'audit list --kind key --key-id 42')
    .action((query: AuditQuery) =>
      cli.showAnswer(
        async (client) => (await client.audit(query)).records,
        (records) => records.toReversed().map(recordLine).join(''),
      ),
    )
}

function addVerify(audit: CliCommand, cli: Cli): void {
  audit
    .command('verify')
    .description(
      'walk along the whole audit and name the first record that is missing or not as it was written; with a file: an export, without any service',
    )
    .argument('[file]', 'what «audit export» has written; when it is left out the control plane checks its own')
    .option(
      '--key-fingerprint <hex>',
      'the key that has to have signed it, as an earlier «audit verify» showed it',
      hex,
    )
    .examples('audit verify', 'audit verify audit-2026.jsonl --key-fingerprint 5d41…')
    .action(async (file: string | undefined, { keyFingerprint }: { readonly keyFingerprint?: string }) => {
      const result: AuditCheck | AuditFile =
        file === undefined
          ? await cli.withClient((client) => client.checkAudit())
          : await checkAuditFile(file, keyFingerprint)
      const problem =
        result.problem ??
        (keyFingerprint === undefined || keyFingerprint === result.keyFingerprint
          ? null
          : `it is signed by another key, ${result.keyFingerprint}`)
      if (problem !== null) {
        throw new CliError('not-whole', `the audit is not whole: ${problem}`, {
          next: 'keep it as evidence, and compare it with earlier exports and with what was forwarded by syslog',
        })
      }
      cli.show(result, () => verified(result))
      if (file !== undefined && keyFingerprint === undefined) {
        cli.hint('its key proves nothing by itself: compare the fingerprint, or give it by --key-fingerprint')
      }
    })
}

function addExport(audit: CliCommand, cli: Cli): void {
  audit
    .command('export')
    .description('write the whole audit into a file as JSON lines, with its signed head, and verify the file')
    .argument('<file>', 'where to; it must not be there yet, and others cannot read it')
    .examples('audit export audit-2026.jsonl')
    .action(async (path: string) => {
      const exported = await exportTo(cli, path)
      cli.show(exported, () => verified(exported))
    })
}

function addPrune(audit: CliCommand, cli: Cli): void {
  audit
    .command('prune')
    .description(
      'export the audit into a file, verify it, and then have the control plane remove records up to one of them; a signed checkpoint stands for those, and what stays is still verified',
    )
    .argument('<file>', 'where to; from then on the only place that has the removed records')
    .requiredOption('--before <time>', 'remove what is older than this', moment(Date.now))
    .examples('audit prune audit-2026.jsonl --before 365d')
    .action(async (path: string, { before }: { readonly before: string }) => {
      const exported = await exportTo(cli, path)
      const checkpoint = await cli.withClient(async (client) => {
        const [last] = (await client.audit({ until: before, limit: 1 })).records
        if (last === undefined) return null
        return client.pruneAudit({ through: last.position, hash: last.hash })
      })
      cli.show({ ...exported, checkpoint }, () =>
        line(
          checkpoint === null
            ? 'nothing is that old; nothing was removed'
            : `removed the records up to ${checkpoint.position}; keep ${path}`,
        ),
      )
    })
}

async function exportTo(
  cli: Cli,
  path: string,
): Promise<AuditFile & { readonly path: string; readonly sha256: string }> {
  await requireFree(path)
  const sha256 = await cli.withClient((client) =>
    cli.surroundings.interrupt.during((signal) =>
      writeExport(path, Readable.from(withLineFeeds(client.auditExport(signal))), () => {}),
    ),
  )
  const checked = await checkAuditFile(path, undefined)
  if (checked.problem !== null) {
    throw new CliError('not-whole', `${path}: the audit is not whole: ${checked.problem}`, {
      next: 'keep the file; see what «audit verify» says of the control plane’s own',
    })
  }
  return { path, sha256, ...checked }
}

async function* withLineFeeds(lines: AsyncIterable<string>): AsyncGenerator<Buffer, void, undefined> {
  for await (const each of lines) yield Buffer.from(`${each}\n`)
}

function verified(result: AuditCheck | AuditFile): string {
  const from = result.firstPosition === null ? '' : `, from record ${result.firstPosition} on`
  return `${line(`the audit is whole: ${result.recordCount} records${from}`)}${line(`signed by the key ${result.keyFingerprint}`)}`
}

function recordLine(record: AuditRecord): string {
  const { position, time, user, address, operation, object, outcome, text } = record
  const from = address === null ? '' : ` from ${address}`
  const tail = text === null ? '' : `: ${text}`
  return `${formatTime(time)}  ${printable(`#${position} ${user}${from} ${operation} ${object} → ${outcome}${tail}`)}\n`
}

function hex(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase()
  throw new InvalidArgumentError('give 64 hex digits')
}
