import { isAbsolute } from 'node:path'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { requireFree, writeExport } from '../exported-file.ts'
import { line } from '../printable.ts'
import { transferDisplay } from '../progress.ts'
import { formatSize } from '../quantity.ts'
import { scheduleSheet, systemSheet } from '../system-words.ts'
import { addSystemBundle } from './support-bundle.ts'

/** `system`: the control plane itself. */
export function addSystem(program: CliCommand, cli: Cli): void {
  const system = program.command('system').description('the control plane itself: health, backups, after a restore')
  system
    .command('show')
    .description('show version, installation, what keeps it from working, and the last backup')
    .action(() =>
      cli.showAnswer(
        (client) => client.system(),
        (shown) => systemSheet(shown, cli.paint),
      ),
    )
  system
    .command('backup')
    .description(
      'back up the control plane while it runs: database, certificate authority, configuration; the root key is not in it. Check the file with «control-plane verify-backup», restore it with «control-plane restore» and the root key',
    )
    .requiredOption('--out <file>', 'where to; it must not be there yet, and others cannot read it')
    .examples('system backup --out cryptvisor.backup')
    .action(({ out }: { readonly out: string }) => backUp(cli, out))
  addSystemBundle(system, cli)
  const schedule = system
    .command('backup-schedule')
    .description('backups of the control plane that are made by themselves')
  schedule
    .command('show')
    .description('show when backups are made, where they are, and how the last one went')
    .action(() =>
      cli.showAnswer(
        (client) => client.backupSchedule(),
        (shown) => scheduleSheet(shown, cli.paint),
      ),
    )
  schedule
    .command('set')
    .description('have backups made into a folder of the control plane’s machine, best on another disk')
    .requiredOption('--folder <path>', 'an absolute path that is there, outside the data folder', absolutePath)
    .requiredOption('--every <minutes>', 'minutes from one to the next', wholeNumber(5, 43_200))
    .option('--keep <n>', 'how many of the newest stay (default: 14)', wholeNumber(1, 1000))
    .examples('system backup-schedule set --folder /mnt/backup/cryptvisor --every 60 --keep 48')
    .action(({ folder, every, keep }: { folder: string; every: number; keep?: number }) =>
      cli.showAnswer(
        (client) => client.setBackupSchedule({ folder, intervalMinutes: every, keepCount: keep ?? 14 }),
        (shown) => scheduleSheet(shown, cli.paint),
      ),
    )
  schedule
    .command('off')
    .description('make no more backups; those that are there stay')
    .action(async () => {
      await cli.withClient((client) => client.clearBackupSchedule())
      cli.show({ schedule: null }, () => line('no more backups are made by themselves'))
    })
  system
    .command('metrics')
    .description(
      'print the metrics that Prometheus reads from /metrics with an API token of a user with Global.Health; docs/operations.md lists them',
    )
    .option('--filter <text>', 'only lines that have this text, such as cryptvisor_vms')
    .examples('system metrics --filter cryptvisor_vms')
    .action(async ({ filter }: { readonly filter?: string }) => {
      const lines = await cli.withClient(async (client) => {
        const found: string[] = []
        for await (const each of client.metrics()) if (filter === undefined || each.includes(filter)) found.push(each)
        return found
      })
      cli.show(lines, () => lines.map((each) => line(each)).join(''))
    })
  system
    .command('settle')
    .description(
      'after a restore: say that «vm reconcile» and «datastore browse» were looked at. Until then no key is destroyed, and none is taken from a host, since the control plane does not know what happened after its backup',
    )
    .action(() =>
      cli.showAnswer(
        (client) => client.settle(),
        (shown) => systemSheet(shown, cli.paint),
      ),
    )
}

async function backUp(cli: Cli, path: string): Promise<void> {
  await requireFree(path)
  const made = await cli.withClient((client) =>
    cli.surroundings.interrupt.during(async (signal) => {
      using display = cli.progress()
      try {
        const { stream, sizeBytes } = await client.backUp(signal)
        const shown = transferDisplay(cli.surroundings, display, 'reading the backup', sizeBytes)
        return { path, sizeBytes, sha256: await writeExport(path, stream, shown) }
      } catch (error) {
        if (!signal.aborted) throw error
        throw new CliError('interrupted', 'the backup was interrupted; nothing of it is left', { cause: error })
      }
    }),
  )
  cli.show(made, () => line(`${path}: ${formatSize(made.sizeBytes)}, SHA-256 ${made.sha256}`))
}

function absolutePath(text: string): string {
  if (isAbsolute(text)) return text
  throw new CliError('usage', '--folder: expected an absolute path on the control plane’s machine', {
    field: '--folder',
  })
}
