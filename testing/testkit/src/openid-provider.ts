import { createServer } from 'node:http'
import Provider, { type Configuration } from 'oidc-provider'

/** Somebody who has an account there. */
export interface TestAccount {
  readonly name?: string
  readonly groups?: unknown
}

/** What the control plane is there. */
export const testClient = { id: 'cryptvisor', secret: 'a secret of forty-three characters, at least' }

/** A real OpenID provider on a free port, with its own forms for logging in. */
export async function openOpenIdProvider(accounts: ReadonlyMap<string, TestAccount>, more: Configuration = {}) {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  // A server that listens on TCP has such an address.
  const { port } = server.address() as { readonly port: number }
  const issuer = `http://127.0.0.1:${port}`
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: testClient.id,
        client_secret: testClient.secret,
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
      },
    ],
    claims: { openid: ['sub'], profile: ['preferred_username', 'groups'], email: ['email'] },
    findAccount: (_context, sub) => {
      const account = accounts.get(sub)
      if (account === undefined) return undefined
      const { name, groups } = account
      return { accountId: sub, claims: () => ({ sub, preferred_username: name, groups }) }
    },
    features: { deviceFlow: { enabled: true } },
    cookies: { keys: ['a key of the test'] },
    ...more,
  })
  const answer = provider.callback()
  server.on('request', (request, reply) => void answer(request, reply))
  return {
    issuer,
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      server.closeAllConnections()
      await closed.promise
    },
  }
}

/** A browser of somebody: it keeps cookies, follows redirects, and fills in the provider's forms. */
class Browser {
  readonly #cookies = new Map<string, string>()
  readonly #login: string

  constructor(login: string) {
    this.#login = login
  }

  /** Opens `url`, logs in and agrees wherever it is asked to, until `isEnd` or until there is no form; gives where that is. */
  async go(url: string, isEnd: (url: URL) => boolean): Promise<URL> {
    let next = new URL(url)
    let form: URLSearchParams | null = null
    for (let hops = 0; hops < 20; hops++) {
      const answer: Response = await fetch(next, {
        redirect: 'manual',
        headers: { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
        ...(form === null ? {} : { method: 'POST', body: form }),
      })
      for (const each of answer.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(each) ?? []
        this.#cookies.set(name, value)
      }
      const text = await answer.text()
      const location = answer.headers.get('location')
      form = null
      if (location !== null) {
        next = new URL(location, next)
        if (isEnd(next)) return next
        continue
      }
      const action = /action="([^"]+)"/.exec(text)?.[1]
      if (action === undefined && answer.ok) return next
      if (action === undefined) throw new Error(`the provider shows no form: ${answer.status} ${text.slice(0, 400)}`)
      next = new URL(action, next)
      const hidden = [...text.matchAll(/type="hidden" name="([^"]+)" value="([^"]*)"/g)]
      form = new URLSearchParams(hidden.map(([, name = '', value = '']) => [name, value]))
      if (form.get('prompt') === 'login') for (const name of ['login', 'password']) form.set(name, this.#login)
    }
    throw new Error('the provider sends the browser round and round')
  }
}

/** Plays the browser: opens `url`, logs in as `login`, agrees, and gives the query that it would go back to the program with. */
export async function browse(url: string, login: string): Promise<string> {
  const end = await new Browser(login).go(url, ({ pathname }) => pathname === '/callback')
  if (end.pathname !== '/callback') throw new Error(`the browser ends at ${end.pathname}`)
  return end.search
}

/** Plays somebody who types `userCode` at `verificationUri`, and logs in there as `login`. */
export async function confirmDevice(verificationUri: string, userCode: string, login: string): Promise<void> {
  const url = new URL(verificationUri)
  url.searchParams.set('user_code', userCode)
  await new Browser(login).go(url.href, () => false)
}
