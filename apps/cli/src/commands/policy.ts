import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { addPolicyRuleOptions, type PolicyRuleOptions, policyRulesOf } from '../policy-options.ts'
import { policySheet, policyTable } from '../policy-words.ts'
import { addPolicyCompliance } from './policy-compliance.ts'

/** `policy`: storage policies. */
export function addPolicy(program: CliCommand, cli: Cli): void {
  const policy = program
    .command('policy')
    .description('storage policies: what is to hold for the VM Homes and disks that have them')
  policy
    .command('list')
    .description('list the storage policies')
    .action(() => cli.showAnswer(async (client) => (await client.policies()).policies, policyTable))
  policy
    .command('show')
    .description('show a storage policy with all its rules')
    .argument('<name>', 'its name')
    .action((name: string) => cli.showAnswer((client) => client.policy(name), policySheet))
  addPolicyRuleOptions(
    policy.command('add').description('make a storage policy').argument('<name>', 'its name, which never changes'),
  )
    .examples(
      'policy add Gold --encrypt --key-provider hsm --rotate-after 90',
      'policy add Strict --encrypt --on-revocation stop-after-grace --grace 60 --verify',
    )
    .action((name: string, options: PolicyRuleOptions) =>
      cli.showAnswer((client) => client.createPolicy({ name, ...policyRulesOf(options) }), policySheet),
    )
  addPolicyRuleOptions(
    policy
      .command('clone')
      .description('make a storage policy as another one is, but for the rules that are given')
      .argument('<source>', 'the policy that is cloned')
      .argument('<name>', 'the name of the new one'),
  )
    .examples("policy clone 'VM Encryption Policy' Gold --rotate-after 90")
    .action((source: string, name: string, options: PolicyRuleOptions) =>
      cli.showAnswer(
        (client) => client.createPolicy({ name, cloneOf: source, ...policyRulesOf(options) }),
        policySheet,
      ),
    )
  addPolicyRuleOptions(
    policy
      .command('change')
      .description(
        'change the rules that are given; VMs that have the policy stay as they are, and out of date, until «policy apply»',
      )
      .argument('<name>', 'its name'),
  )
    .examples('policy change Gold --rotate-after 30', 'policy change Gold --key-provider default')
    .action((name: string, options: PolicyRuleOptions) =>
      cli.showAnswer((client) => client.changeStoragePolicy(name, policyRulesOf(options)), policySheet),
    )
  policy
    .command('remove')
    .description('remove a storage policy that no VM and no disk has')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('policy', name, (client) => client.deletePolicy(name)))
  addPolicyCompliance(policy, cli)
}
