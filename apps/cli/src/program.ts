import { readFileSync } from 'node:fs'
import { Option } from 'commander'
import { Cli, type GlobalOptions } from './cli.ts'
import { CliCommand } from './command.ts'
import { addAlarm } from './commands/alarm.ts'
import { addApproval } from './commands/approval.ts'
import { addAudit } from './commands/audit.ts'
import { addCampaign } from './commands/campaign.ts'
import { addCertificate } from './commands/certificate.ts'
import { addCluster } from './commands/cluster.ts'
import { addDatastore } from './commands/datastore.ts'
import { addDisk } from './commands/disk.ts'
import { addEvent } from './commands/event.ts'
import { addFolder } from './commands/folder.ts'
import { addGroup } from './commands/group.ts'
import { addHost } from './commands/host.ts'
import { addIdentitySource } from './commands/identity-source.ts'
import { addKeyProvider } from './commands/key-provider.ts'
import { addKeys } from './commands/keys.ts'
import { addLogin } from './commands/login.ts'
import { addLogout } from './commands/logout.ts'
import { addNotification } from './commands/notification.ts'
import { addPermission } from './commands/permission.ts'
import { addPolicy } from './commands/policy.ts'
import { addReport } from './commands/report.ts'
import { addRole } from './commands/role.ts'
import { addSystem } from './commands/system.ts'
import { addTask } from './commands/task.ts'
import { addToken } from './commands/token.ts'
import { addUser } from './commands/user.ts'
import { addVm } from './commands/vm.ts'
import { addWhoami } from './commands/whoami.ts'
import { exitCodeTexts } from './exit-codes.ts'
import type { Surroundings } from './surroundings.ts'

/** Lines of help are no longer than this, however wide the terminal is. */
const helpWidthMax = 120

/** The whole command line: every noun with its verbs. Nothing runs before its arguments are parsed. */
export function buildProgram(surroundings: Surroundings): CliCommand {
  const { stdout, stderr } = surroundings
  const width = Math.min(stdout.columns ?? helpWidthMax, helpWidthMax)
  const program = new CliCommand('cryptvisor')
    .description('Encrypts virtual machines at rest, with keys that a key server keeps.')
    .version(version())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => width,
      getErrHelpWidth: () => width,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
  program
    .addOption(new Option('--json', 'print exactly one JSON value: the answer of the API, a list as an array'))
    .addOption(new Option('--url <url>', 'the control plane (default: that of the session)'))
    .addOption(
      new Option('--ca <file>', "PEM: the CA of the control plane's certificate (default: that of the session)"),
    )
    .addOption(
      new Option(
        '--config <file>',
        'where the session is kept (default: $CRYPTVISOR_CONFIG, else below $XDG_CONFIG_HOME)',
      ),
    )
    .addOption(
      new Option(
        '--token-file <file>',
        'use the API token in this file instead of the session (or $CRYPTVISOR_TOKEN_FILE)',
      ),
    )
    .addOption(new Option('--verbose', 'say more on standard error'))
    .addOption(new Option('--dry-run', 'check everything, change nothing, and say what a changing command would do'))
    .addOption(
      new Option(
        '--idempotency-key <key>',
        'the same command run again with the same key, within a day, is answered again and not done again',
      ),
    )
  const cli = new Cli(surroundings, () => program.opts<GlobalOptions>())
  for (const add of [
    addLogin,
    addLogout,
    addWhoami,
    addVm,
    addDisk,
    addTask,
    addCampaign,
    addEvent,
    addAlarm,
    addIdentitySource,
    addNotification,
    addAudit,
    addKeys,
    addApproval,
    addReport,
    addKeyProvider,
    addPolicy,
    addHost,
    addCluster,
    addCertificate,
    addDatastore,
    addFolder,
    addUser,
    addGroup,
    addRole,
    addPermission,
    addToken,
    addSystem,
  ]) {
    add(program, cli)
  }
  return program
    .examples(
      'login --url https://127.0.0.1:8443 --ca ca.pem --user admin',
      'vm import db1 --disk db1.qcow2',
      'vm encrypt db1',
      'vm show db1 --json',
    )
    .section(
      'Exit codes',
      exitCodeTexts.map(([code, text]) => `${String(code).padEnd(4)} ${text}`),
    )
}

function version(): string {
  // Our own manifest has a version.
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }).version
}
