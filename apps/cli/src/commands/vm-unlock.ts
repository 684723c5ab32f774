import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { lockedTable, vmSheet } from '../vm-words.ts'

interface UnlockOptions {
  readonly all?: boolean
  readonly host?: string
}

/** `vm unlock`. */
export function addVmUnlock(vm: CliCommand, cli: Cli): void {
  vm.command('unlock')
    .description(
      'fetch the keys of a locked VM again and try to open it; or of all locked VMs, or those of a host, each key once. Locked VMs also open by themselves when their keys are back; this does not wait for the next try. The exit code is 1 when VMs stay locked',
    )
    .argument('[vm]', 'its name or ID')
    .option('--all', 'all VMs that are locked')
    .option('--host <name>', 'all VMs on this host that are locked')
    .examples('vm unlock db1', 'vm unlock --all', 'vm unlock --host host-a')
    .action(async (name: string | undefined, { all, host }: UnlockOptions) => {
      if ([name !== undefined, all === true, host !== undefined].filter(Boolean).length !== 1) {
        throw new CliError('usage', 'name a VM, or give --all or --host', { next: 'see cryptvisor vm unlock --help' })
      }
      if (name === undefined) return unlockMany(cli, host)
      const each = await cli.withClient((client) => client.unlockVm(name))
      cli.show(each, () => vmSheet(each, cli.paint))
      if (each.lock.state === 'unlocked') return undefined
      throw new CliError(
        'check-failed',
        `VM ${each.name} stays locked: ${each.lock.text ?? 'its host does not say why'}`,
        {
          next: `mend the cause, and it unlocks by itself; docs/hosts.md, «Locked VMs», has the cure of each cause`,
        },
      )
    })
}

async function unlockMany(cli: Cli, host: string | undefined): Promise<void> {
  const locked = await cli.withClient(async (client) => {
    const { task } = await client.unlockVms(host === undefined ? {} : { host })
    await cli.surroundings.interrupt.during((signal) => cli.waitFor(client, task, signal))
    return (await client.vms()).vms
      .filter((each) => host === undefined || each.host === host)
      .filter(({ lock }) => lock.state === 'locked')
  })
  cli.show(locked, (vms) => (vms.length === 0 ? line('no VM is locked any more') : lockedTable(vms, cli.paint)))
  if (locked.length === 0) return
  throw new CliError('check-failed', locked.length === 1 ? 'one VM stays locked' : `${locked.length} VMs stay locked`, {
    next: 'the reason of each is above; mend it, and they unlock by themselves',
  })
}
