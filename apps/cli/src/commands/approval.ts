import { approvalSheet, approvalTable, sealOf, sealSize } from '../approval-words.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'

/** `approval`: what one user asks for and another one has to approve. */
export function addApproval(program: CliCommand, cli: Cli): void {
  const approval = program
    .command('approval')
    .description(
      'approvals: destructive requests (keys destroy --force, keys revoke --force, vm erase) that a second user has to let happen',
    )
  approval
    .command('list')
    .description('list the requests that wait for a second user')
    .option('--all', 'those that were decided or have expired, too')
    .action(({ all }: { readonly all?: boolean }) =>
      cli.showAnswer(
        async (client) => (await client.approvals(all === true ? { all } : {})).approvals,
        (approvals) => approvalTable(approvals, cli.paint),
      ),
    )
  approval
    .command('show')
    .description('show a request with every VM, disk and host that dies by it as things are now, and its seal')
    .argument('<id>', 'its ID')
    .action((id: string) =>
      cli.showAnswer(
        (client) => client.approval(id),
        (each) => approvalSheet(each, cli.paint),
      ),
    )
  approval
    .command('approve')
    .description(
      'let a request happen: as another user than the one who asked for it (needs Cryptographer.ManageKeys), once, before it expires, and only as it was shown',
    )
    .argument('<id>', 'its ID')
    .option('--seal <digits>', 'the seal that «approval show» printed: says that you saw what dies')
    .option('--comment <text>', 'why; kept with the request')
    .examples('approval show 0198f2c4-…', 'approval approve 0198f2c4-… --seal 3f1f9f2f110198aa')
    .section('What goes wrong', [
      'Without --seal nothing is approved: the request is shown.',
      'When more would die by now than you were shown, the seal is another one: look again.',
    ])
    .action(async (id: string, { seal, comment }: { readonly seal?: string; readonly comment?: string }) => {
      const approved = await cli.withClient(async (client) => {
        const shown = await client.approval(id)
        if (seal === undefined) {
          if (cli.options.json !== true) cli.show(shown, (each) => approvalSheet(each, cli.paint))
          throw new CliError('usage', '--seal: is missing, so nothing was approved', {
            field: '--seal',
            next: `when this is what shall happen: cryptvisor approval approve ${id} --seal ${sealOf(shown)}`,
          })
        }
        if (seal.length < sealSize || !shown.digest.startsWith(seal.toLowerCase())) {
          throw new CliError('usage', `--seal: is not that of what would happen now, so nothing was approved`, {
            field: '--seal',
            next: `look again: cryptvisor approval show ${id}`,
          })
        }
        return client.approve(id, { digest: shown.digest, ...(comment === undefined ? {} : { comment }) })
      })
      cli.show(approved, (each) => approvalSheet(each, cli.paint))
      if (approved.task !== null) cli.hint(`watch it: cryptvisor task watch ${approved.task}`)
    })
  for (const [verb, description] of [
    ['reject', 'say no to a request'],
    ['withdraw', 'take back a request of your own'],
  ] as const) {
    approval
      .command(verb)
      .description(description)
      .argument('<id>', 'its ID')
      .option('--comment <text>', 'why; kept with the request')
      .action((id: string, body: { readonly comment?: string }) =>
        cli.showAnswer(
          (client) => (verb === 'reject' ? client.rejectApproval(id, body) : client.withdrawApproval(id, body)),
          (each) => approvalSheet(each, cli.paint),
        ),
      )
  }
}
