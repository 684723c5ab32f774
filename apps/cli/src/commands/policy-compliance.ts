import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { complianceTable, planTable } from '../compliance-words.ts'

interface Chosen {
  readonly vm?: string
  readonly policy?: string
}

interface ApplyOptions extends Chosen {
  readonly preview?: boolean
  readonly wait: boolean
}

/** `policy compliance` and `policy apply`. */
export function addPolicyCompliance(policy: CliCommand, cli: Cli): void {
  policy
    .command('compliance')
    .description(
      'say whether VMs comply with their storage policies: each reason with its disk; «unknown» is a VM that is locked, or whose host is away',
    )
    .option('--vm <vm>', 'this VM only: its name or ID')
    .option('--policy <name>', 'the VMs that have this policy only')
    .examples('policy compliance', 'policy compliance --policy Gold', 'policy compliance --vm db1 --json')
    .action((chosen: Chosen) =>
      cli.showAnswer(
        async (client) => (await client.compliance(chosen)).vms,
        (vms) => complianceTable(vms, cli.paint),
      ),
    )
  policy
    .command('apply')
    .description(
      'bring a VM, or all VMs of a policy, into line: encrypts, decrypts and rekeys (shallow) what has to be, one task after the other',
    )
    .option('--vm <vm>', 'this VM: its name or ID')
    .option('--policy <name>', 'all VMs that have this policy')
    .option('--preview', 'only say what would be done, and what cannot be')
    .option('--no-wait', 'do not wait until it is done')
    .examples('policy apply --vm db1 --preview', 'policy apply --vm db1', 'policy apply --policy Gold --no-wait')
    .action(async ({ preview, wait, ...chosen }: ApplyOptions) => {
      if ((chosen.vm === undefined) === (chosen.policy === undefined)) {
        throw new CliError('usage', '--vm: give a VM, or a policy with --policy', {
          field: '--vm',
          next: 'see cryptvisor policy apply --help',
        })
      }
      if (preview === true) {
        await cli.showAnswer(async (client) => (await client.planPolicies(chosen)).plans, planTable)
        return
      }
      const { task, plans } = await cli.withClient(async (client) => {
        const started = await client.applyPolicies(chosen)
        if (started.task === null || !wait) return started
        const { task: begun } = started
        cli.hint(planTable(started.plans).trimEnd())
        const ended = await cli.surroundings.interrupt.during((signal) => cli.waitFor(client, begun, signal))
        return { ...started, task: ended }
      })
      if (task === null) cli.show({ task, plans }, () => planTable(plans))
      else cli.showTask(task)
    })
}
