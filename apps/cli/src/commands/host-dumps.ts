import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { requireFree, writeExport } from '../exported-file.ts'
import { keyName } from '../key-name.ts'
import { line } from '../printable.ts'
import { transferDisplay } from '../progress.ts'
import { formatSize, formatTime } from '../quantity.ts'
import { table } from '../table.ts'

/** `host dumps` and `host decrypt-core`. */
export function addHostDumps(host: CliCommand, cli: Cli): void {
  host
    .command('dumps')
    .description(
      'list the core dumps that lie on a host, sealed to its host key. They are made when the kernel is told to hand them over: «host-agent core-pattern --dir DIR», on the host, prints that setting',
    )
    .argument('<host>', 'its name or ID')
    .action((name: string) =>
      cli.showAnswer(
        async (client) => (await client.hostDumps(name)).dumps,
        (dumps) =>
          dumps.length === 0
            ? line(`no core dump lies on ${name}`)
            : table(
                ['DUMP', 'TIME', 'COMMAND', 'PROCESS', 'SIZE', 'HOST KEY'],
                dumps.map(({ name: dump, createdAt, process, sizeBytes, key }) => [
                  dump,
                  formatTime(createdAt),
                  process.command,
                  String(process.pid),
                  formatSize(sizeBytes),
                  keyName(key),
                ]),
              ),
      ),
    )
  host
    .command('decrypt-core')
    .description(
      'open a core dump of a host with the host key that it was sealed to, also when the host has another one by now, and write it into a new file, plain. It may hold keys and memory of VMs: keep it accordingly',
    )
    .argument('<host>', 'its name or ID')
    .argument('<dump>', 'as «host dumps» names it')
    .requiredOption('--out <file>', 'where to; it must not be there yet, and others cannot read it')
    .examples('host decrypt-core host-b 20260105T101500123Z-4711-1a2b3c4d.core --out agent.core')
    .action(async (name: string, dump: string, { out: path }: { readonly out: string }) => {
      await requireFree(path)
      const made = await cli.withClient((client) =>
        cli.surroundings.interrupt.during(async (signal) => {
          using display = cli.progress()
          try {
            const { stream, sizeBytes } = await client.openHostDump(name, dump, signal)
            const shown = transferDisplay(cli.surroundings, display, `reading ${dump}`, sizeBytes)
            return { path, sizeBytes, sha256: await writeExport(path, stream, shown) }
          } catch (error) {
            if (!signal.aborted || error instanceof CliError) throw error
            throw new CliError('interrupted', 'it was interrupted; nothing of the dump is left', { cause: error })
          }
        }),
      )
      cli.show(made, () => line(`${path}: plain, ${formatSize(made.sizeBytes)}, SHA-256 ${made.sha256}`))
    })
}
