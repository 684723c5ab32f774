import { type HostKeyPersistence, keyPersistenceDaysMax } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { formatTime } from '../quantity.ts'
import { sheet } from '../table.ts'

/** How long a host keeps keys without the control plane, in days, when nobody says. */
const keepDaysDefault = 30

/** `host key-persistence`: whether a host keeps its keys across restarts. */
export function addHostKeyPersistence(host: CliCommand, cli: Cli): void {
  const persistence = host
    .command('key-persistence')
    .description(
      'whether a host keeps its keys across restarts, sealed to its TPM 2.0, so that VMs unlock while the key provider is down. Off by default: who steals such a host, disk and TPM together, has the keys of its cluster',
    )
  persistence
    .command('show')
    .description('show whether a host keeps its keys, whether it has a TPM, and how the memory of its agent is guarded')
    .argument('<host>', 'its name or ID')
    .action((name: string) => cli.showAnswer((client) => client.keyPersistence(name), persistenceSheet))
  persistence
    .command('enable')
    .description('have a connected host keep the keys of its cluster; refused where it has no TPM 2.0')
    .argument('<host>', 'its name or ID')
    .option(
      '--keep-days <days>',
      `after so many days without the control plane a restart erases them, 1 to ${keyPersistenceDaysMax}`,
      wholeNumber(1, keyPersistenceDaysMax),
      keepDaysDefault,
    )
    .examples('host key-persistence enable host-b', 'host key-persistence enable host-b --keep-days 7')
    .action((name: string, { keepDays }: { readonly keepDays: number }) =>
      cli.showAnswer((client) => client.enableKeyPersistence(name, { keepDays }), persistenceSheet),
    )
  persistence
    .command('disable')
    .description(
      'have a host erase the keys that it has kept; one that is not connected does so when it connects again',
    )
    .argument('<host>', 'its name or ID')
    .examples('host key-persistence disable host-b')
    .action((name: string) => cli.showAnswer((client) => client.disableKeyPersistence(name), persistenceSheet))
}

function persistenceSheet(answer: HostKeyPersistence): string {
  return sheet(persistenceRows(answer))
}

/** What `host show` says of key persistence, the TPM, and how the memory that holds keys is guarded. */
export function persistenceRows({ keepDays, since, mayKeepDays, onHost }: HostKeyPersistence): [string, string][] {
  const rows: [string, string][] = []
  const days = `${keepDays} ${keepDays === 1 ? 'day' : 'days'}`
  rows.push([
    'key persistence',
    keepDays === null
      ? 'off'
      : `on since ${since === null ? '?' : formatTime(since)}, for ${days} without the control plane`,
  ])
  if (keepDays === null && mayKeepDays !== null)
    rows.push(['not yet erased', 'it erases what it has kept when it connects'])
  if (onHost === null) {
    rows.push(['kept keys, TPM, memory', 'not known: the host does not answer'])
    return rows
  }
  const { keyCount, keptUntil, tpmProblem, problem, memory } = onHost
  rows.push([
    'kept keys',
    keyCount === null || keptUntil === null ? 'none' : `${keyCount}, until ${formatTime(keptUntil)}`,
  ])
  if (problem !== null) rows.push(['problem', problem])
  rows.push(['TPM 2.0', tpmProblem ?? 'there'])
  rows.push(['memory: swap', memory.swap ? 'it may be swapped out: switch swap off' : 'none that it may use'])
  rows.push(['memory: core dumps', memory.coreDumps ? 'possible: set the limit to 0' : 'none, and no debugger'])
  rows.push(['memory: not reached', 'pages are not locked; root, and who reads the machine’s memory, can read keys'])
  return rows
}
