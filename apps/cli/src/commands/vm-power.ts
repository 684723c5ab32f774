import type { PowerAction } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { waitUntilOff } from '../wait-until-off.ts'

/** How long `vm shut-down` waits for a guest, in seconds, when nobody says. */
const shutDownWaitDefault = 180

interface ShutDownOptions {
  readonly wait: boolean
  readonly timeout: number
}

/** The power of a VM, and which host runs it. */
export function addVmPower(vm: CliCommand, cli: Cli): void {
  addAction(
    vm,
    cli,
    'power-on',
    'start a VM on its host. The keys of an encrypted VM are handed to the host first, where it does not hold them; one that is locked is not started',
  ).section('What goes wrong', [
    'It is locked: «vm show» says why; see «key-provider status», then «vm unlock».',
    'Nobody knows whether it runs, since its host is away: start that host’s agent; «vm declare-off» where the machine is certainly off.',
    'The host is not crypto-safe: that needs Cryptographer.RegisterHost on it, or «host crypto enable».',
  ])
  addAction(
    vm,
    cli,
    'power-off',
    'pull the plug of a VM: at once, and what its guest has not written yet is lost. «vm shut-down» lets the guest finish',
  )
  vm.command('shut-down')
    .description(
      'ask the guest of a VM to shut down, and wait until the VM is off. A guest that does not listen to ACPI does nothing: «vm power-off» ends it',
    )
    .argument('<vm>', 'its name or ID')
    .option('--no-wait', 'do not wait until it is off')
    .option('--timeout <seconds>', 'how long to wait for the guest', wholeNumber(1, 86_400), shutDownWaitDefault)
    .examples('vm shut-down db1', 'vm shut-down db1 --timeout 600')
    .action(async (name: string, { wait, timeout }: ShutDownOptions) => {
      if (!wait || cli.options.dryRun === true) {
        await cli.runTask((client) => client.changePower(name, { action: 'shut-down' }), wait)
        return
      }
      const off = await cli.withClient((client) =>
        cli.surroundings.interrupt.during(async (signal) => {
          const { task } = await client.changePower(name, { action: 'shut-down' })
          await cli.waitFor(client, task, signal)
          return waitUntilOff(client, name, { signal, timeoutMs: timeout * 1000, pace: cli.surroundings.pollPace })
        }),
      )
      cli.show(off, (each) => line(`VM ${each.name} is off`))
    })
  addAction(vm, cli, 'reset', 'reset a VM, as its button does: at once, and its guest starts anew')
  addAction(
    vm,
    cli,
    'pause',
    'hold the virtual processors of a VM; it stays in its host’s memory, with its keys, and is lost when that host stops',
  )
  addAction(vm, cli, 'resume', 'let a VM go on that was paused, or that QEMU stopped since a disk gave errors')
  addMigrate(vm, cli)
  addDeclareOff(vm, cli)
}

function addAction(vm: CliCommand, cli: Cli, action: PowerAction, description: string): CliCommand {
  return vm
    .command(action)
    .description(description)
    .argument('<vm>', 'its name or ID')
    .option('--no-wait', 'do not wait until it is done')
    .examples(`vm ${action} db1`)
    .action((name: string, { wait }: { readonly wait: boolean }) =>
      cli.runTask((client) => client.changePower(name, { action }), wait),
    )
}

function addMigrate(vm: CliCommand, cli: Cli): void {
  vm.command('migrate')
    .description(
      'give a VM that is off to another host of its cluster, which is handed its keys and opens every part of it first; its files stay where they are',
    )
    .argument('<vm>', 'its name or ID')
    .requiredOption('--host <name>', 'the host that runs it from now on')
    .option('--no-wait', 'do not wait until it is done')
    .examples('vm migrate db1 --host host-b')
    .action((name: string, { host, wait }: { readonly host: string; readonly wait: boolean }) =>
      cli.runTask((client) => client.migrateVm(name, { host }), wait),
    )
}

function addDeclareOff(vm: CliCommand, cli: Cli): void {
  vm.command('declare-off')
    .description(
      'say that a VM is off whose host cannot say so any more, since it is gone for good; another host may start it then. Make sure first that the machine is without power: two hosts that run a VM at once destroy its disks',
    )
    .argument('<vm>', 'its name or ID')
    .requiredOption('--confirm <name>', 'the VM’s name, typed once more')
    .examples('vm declare-off db1 --confirm db1 && vm migrate db1 --host host-b && vm power-on db1')
    .action((name: string, { confirm }: { readonly confirm: string }) =>
      cli.showAnswer(
        (client) => client.declareOff(name, { confirm }),
        (each) =>
          line(
            `VM ${each.name} counts as off; give it to another host: cryptvisor vm migrate ${each.name} --host HOST`,
          ),
      ),
    )
}
