import { once } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request } from 'node:https'

/** A request as anybody may send it, without a client's help. */
export interface Question {
  readonly method: string
  /** As it goes over the wire, encoded or not. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** What came back; `body` is the JSON, or `null` when the answer is no JSON or does not end. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: unknown
}

/** Asks a server whose certificate stands under `ca`; the connection is closed afterwards. */
export async function ask(url: string, ca: string, { method, path, headers, body }: Question): Promise<Answer> {
  const sent = request(url, { ca, method, path, agent: false, headers: { ...headers } })
  sent.end(body)
  // The first argument of this event (node:http).
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  try {
    const isJson = answer.headers['content-type']?.startsWith('application/json') === true
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: isJson ? await readJson(answer) : null }
  } finally {
    sent.destroy()
  }
}

async function readJson(answer: IncomingMessage): Promise<unknown> {
  const chunks: Uint8Array[] = []
  for await (const chunk of answer) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString('utf8')
  return text === '' ? null : JSON.parse(text)
}
