import { createServer, type Server, type ServerResponse } from 'node:http'
import { CliError } from './cli-error.ts'

const page = (text: string) =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>Cryptvisor</title><p>${text}</p></html>\n`

/** Waits on this machine for the browser that an OpenID Connect provider sends back (RFC 8252, 7.3). */
export class BrowserLogin implements AsyncDisposable {
  readonly redirectUri: string
  readonly #server: Server
  readonly #answer: Promise<string>

  private constructor(server: Server, redirectUri: string, answer: Promise<string>) {
    this.#server = server
    this.redirectUri = redirectUri
    this.#answer = answer
  }

  /** Listens on 127.0.0.1 only; port 0: any that is free. Throws `CliError` where it cannot. */
  static async listen(port: number): Promise<BrowserLogin> {
    const { promise: answer, resolve } = Promise.withResolvers<string>()
    const server = createServer((request, reply) => {
      const url = URL.parse(request.url ?? '', 'http://127.0.0.1')
      if (request.method !== 'GET' || url?.pathname !== '/callback') {
        send(reply, 404, 'There is nothing here.')
        return
      }
      send(reply, 200, 'That is all here: the command line goes on. You can close this window.')
      resolve(url.search)
    })
    const listening = Promise.withResolvers<void>()
    server.once('listening', listening.resolve).once('error', listening.reject)
    server.listen(port, '127.0.0.1')
    try {
      await listening.promise
    } catch (cause) {
      throw new CliError('usage', `--callback-port: nothing can listen on 127.0.0.1:${port}`, {
        field: '--callback-port',
        next: 'give another port, one that the provider lets browsers go back to',
        cause,
      })
    }
    // A server that listens on TCP has such an address.
    const { port: taken } = server.address() as { readonly port: number }
    return new BrowserLogin(server, `http://127.0.0.1:${taken}/callback`, answer)
  }

  /** The query that the browser came back with, from `?` on. Throws `CliError` `interrupted`. */
  async answer(signal: AbortSignal): Promise<string> {
    const { promise: ended, reject } = Promise.withResolvers<never>()
    const end = () => reject(new CliError('interrupted', 'the login was given up'))
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
    try {
      return await Promise.race([this.#answer, ended])
    } finally {
      signal.removeEventListener('abort', end)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#server.close(() => resolve())
    this.#server.closeAllConnections()
    await promise
  }
}

function send(reply: ServerResponse, status: number, text: string): void {
  reply.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'",
    connection: 'close',
  })
  reply.end(page(text))
}
