import type { IdentitySource } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import type { Secret } from '@cryptvisor/secret'
import type { Cli } from './cli.ts'

/** Makes or changes an identity source, then gives it its secret, which settings do not have; `null`: it needs none. */
export async function withSecret(
  cli: Cli,
  name: string,
  secret: Secret | null,
  set: (client: ControlPlaneClient) => Promise<IdentitySource>,
): Promise<IdentitySource> {
  return cli.withClient(async (client) => {
    const made = await set(client)
    if (secret === null) return made
    await client.setIdentitySourceSecret(name, secret)
    return client.identitySource(name)
  })
}
