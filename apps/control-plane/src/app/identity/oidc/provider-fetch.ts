import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { CustomFetch } from 'openid-client'
import { hostOf, isRefusedAddress, safeLookup } from '../../notifications/address-check.ts'
import { connectionTrouble } from '../connection-trouble.ts'

/** No answer of a provider is longer; the largest are key sets. */
const answerSizeMax = 1_048_576

/** No answer of a provider came, or one that is too long. */
export class ProviderFetchError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProviderFetchError'
  }
}

/**
 * `fetch` as openid-client needs it, which trusts the CA that is given (PEM; `undefined`: those of the system) and reads no
 * more than 1 MiB. Redirects are answers like any other: none is followed, and addresses that we never ask are refused. Throws `ProviderFetchError`.
 */
export function providerFetch(ca: string | undefined): CustomFetch {
  return async (url, { method, headers, body, signal }) => {
    const target = new URL(url)
    const host = hostOf(target)
    if (isRefusedAddress(host))
      throw new ProviderFetchError(`${host}: nothing is asked of such an address, it is refused`)
    // A connection of its own for each: one that was kept may be closed by the provider just now.
    const options = { method, headers, agent: false, lookup: safeLookup, ...(signal === undefined ? {} : { signal }) }
    const request =
      target.protocol === 'https:'
        ? httpsRequest(target, { ...options, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2' })
        : httpRequest(target, options)
    try {
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
      request.once('response', resolve).once('error', reject)
      request.end(bodyText(body))
      const answer = await promise
      const bytes = await readAll(answer)
      const status = answer.statusCode ?? 502
      const isEmpty = status === 204 || status === 304
      return new Response(isEmpty ? null : bytes, { status, headers: headersOf(answer) })
    } catch (cause) {
      request.destroy()
      if (cause instanceof ProviderFetchError) throw cause
      throw new ProviderFetchError(`${target.origin}: ${connectionTrouble(cause)}`, { cause })
    }
  }
}

function bodyText(body: unknown): string | undefined {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string') return body
  if (body instanceof URLSearchParams) return body.toString()
  throw new Error('openid-client sends forms alone')
}

async function readAll(answer: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of answer) {
    // No encoding was set.
    const bytes = chunk as Buffer
    sizeBytes += bytes.length
    if (sizeBytes > answerSizeMax) throw new ProviderFetchError(`an answer has more than ${answerSizeMax} bytes`)
    chunks.push(bytes)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers()
  for (const [name, values] of Object.entries(headersDistinct)) {
    for (const value of values ?? []) headers.append(name, value)
  }
  return headers
}
