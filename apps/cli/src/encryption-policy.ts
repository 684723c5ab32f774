import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { CliError } from './cli-error.ts'

/** Whether the policy of that name encrypts. Throws `CliError` `not-found` when there is none. */
export async function isEncryptionPolicy(client: ControlPlaneClient, name: string): Promise<boolean> {
  const { policies } = await client.policies()
  const policy = policies.find((each) => each.name === name)
  if (policy !== undefined) return policy.encryption
  throw new CliError('not-found', `--policy: there is no storage policy ${JSON.stringify(name)}`, {
    field: '--policy',
    next: 'see what there is: cryptvisor policy list',
  })
}

/** Throws `CliError` `usage` when the policy of that name would decrypt. */
export async function requireEncryptionPolicy(client: ControlPlaneClient, name: string): Promise<void> {
  if (await isEncryptionPolicy(client, name)) return
  throw new CliError('usage', `--policy: ${JSON.stringify(name)} does not encrypt`, {
    field: '--policy',
    next: 'name a policy that does (cryptvisor policy list), or decrypt: cryptvisor vm decrypt',
  })
}
