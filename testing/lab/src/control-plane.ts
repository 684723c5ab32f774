import { readFileSync } from 'node:fs'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { RestClient } from '@cryptvisor/rest/client'

/** A logged-in client of a lab's control plane. Dispose of it to close its connections. */
export interface LoggedIn extends AsyncDisposable {
  readonly client: ControlPlaneClient
}

/** Logs in. Throws `RestClientError`. */
export async function logIn(url: string, caPath: string, user: string, password: string): Promise<LoggedIn> {
  const ca = readFileSync(caPath, 'utf8')
  await using anonymous = new RestClient({ url, ca })
  const { token } = await new ControlPlaneClient(anonymous).login({ user, password })
  const rest = new RestClient({ url, ca, bearerToken: token })
  return {
    client: new ControlPlaneClient(rest),
    [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose](),
  }
}
