import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'

type Json = Readonly<Record<string, unknown>>

/** What a provider does wrong; nothing: it is an honest one. */
export interface Forgery {
  /** Takes the place of the ID token's claims. */
  readonly claims?: (honest: Json) => Json
  /** Takes the place of the ID token's header. */
  readonly header?: Json
  /** By what the ID token is signed, when not by the provider's key: another key, a shared secret, nothing. */
  readonly signature?: 'another key' | 'client secret' | 'public key as a secret' | 'none'
  /** Changes the claims after they were signed. */
  readonly changedAfter?: (claims: Json) => Json
  /** Takes the place of the answer at a path. */
  readonly answers?: Readonly<Record<string, { readonly status: number; readonly body: string; readonly to?: string }>>
  readonly discovery?: Json
  /** Of the user info. */
  readonly userInfo?: Json
  /** Takes the place of the whole answer of the token endpoint. */
  readonly tokens?: (honest: Json) => Json
  /** Of the query that the browser is sent back with. */
  readonly query?: Readonly<Record<string, string>>
}

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/**
 * An OpenID provider on a free port that lets `kim` in without asking, and does wrong what a test wants. It looks at no
 * client secret and no verifier: what is under test is how its answers are taken.
 */
export async function openForgingProvider(
  clientId: string,
  clientSecret: string,
  tls: { readonly key: string; readonly cert: string } | null = null,
) {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const nonces = new Map<string, string>()
  const setting: { forgery: Forgery } = { forgery: {} }
  const server: Server = tls === null ? createServer() : createSecureServer(tls)
  const { promise, resolve } = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', resolve)
  await promise
  // A server that listens on TCP has such an address.
  const { port } = server.address() as { readonly port: number }
  const issuer = `http${tls === null ? '' : 's'}://127.0.0.1:${port}`
  const jwk = { ...own.publicKey.export({ format: 'jwk' }), kid: 'k-1', alg: 'ES256', use: 'sig' }

  const idToken = (nonce: string): string => {
    const { claims = (honest) => honest, header, signature, changedAfter } = setting.forgery
    const now = Math.floor(Date.now() / 1000)
    const groups = ['vm-operators']
    const honest = { iss: issuer, sub: 'u-1', aud: clientId, iat: now, exp: now + 300, nonce }
    const payload = claims({ ...honest, preferred_username: 'kim', groups })
    const head = encoded(header ?? { alg: 'ES256', kid: 'k-1' })
    const signed = `${head}.${encoded(payload)}`
    const by = (key: KeyObject) => sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' })
    const mac = (key: string | Buffer) => createHmac('sha256', key).update(signed).digest()
    const signatures = {
      own: () => by(own.privateKey),
      'another key': () => by(other.privateKey),
      'client secret': () => mac(clientSecret),
      'public key as a secret': () => mac(own.publicKey.export({ type: 'spki', format: 'pem' })),
      none: () => Buffer.alloc(0),
    }
    const made = signatures[signature ?? 'own']().toString('base64url')
    return `${head}.${encoded(changedAfter?.(payload) ?? payload)}.${made}`
  }

  const answer = (path: string, form: URLSearchParams): unknown => {
    const { discovery, userInfo, tokens = (honest) => honest } = setting.forgery
    if (path === '/.well-known/openid-configuration') {
      return {
        ...{ issuer, authorization_endpoint: `${issuer}/auth`, token_endpoint: `${issuer}/token` },
        ...{ jwks_uri: `${issuer}/jwks`, userinfo_endpoint: `${issuer}/me`, response_types_supported: ['code'] },
        ...{ subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['ES256'] },
        ...{ authorization_response_iss_parameter_supported: true, code_challenge_methods_supported: ['S256'] },
        ...discovery,
      }
    }
    if (path === '/jwks') return { keys: [jwk] }
    if (path === '/me') return userInfo ?? { sub: 'u-1', preferred_username: 'kim' }
    const id_token = idToken(nonces.get(form.get('code') ?? '') ?? 'none')
    return tokens({ access_token: 'access', token_type: 'Bearer', expires_in: 300, id_token })
  }
  const meet = async (request: IncomingMessage, reply: ServerResponse): Promise<void> => {
    let text = ''
    for await (const chunk of request) text += String(chunk)
    const path = URL.parse(request.url ?? '/', issuer)?.pathname ?? '/'
    const wrong = setting.forgery.answers?.[path]
    const body = wrong?.body ?? JSON.stringify(answer(path, new URLSearchParams(text)))
    const location = wrong?.to === undefined ? {} : { location: wrong.to }
    reply.writeHead(wrong?.status ?? 200, { 'content-type': 'application/json', ...location }).end(body)
  }
  server.on('request', (request, reply) => void meet(request, reply))
  return {
    issuer,
    /** Does this wrong from now on. */
    forge: (forgery: Forgery) => {
      setting.forgery = forgery
    },
    /** The query that it sends a browser back with that opened `url`. */
    comeBack: (url: string): string => {
      const { searchParams } = new URL(url)
      const code = `code-${nonces.size}`
      nonces.set(code, searchParams.get('nonce') ?? '')
      const honest = { code, state: searchParams.get('state') ?? '', iss: issuer }
      return `?${new URLSearchParams({ ...honest, ...setting.forgery.query })}`
    },
    [Symbol.asyncDispose]: async () => {
      const closed = Promise.withResolvers<void>()
      server.close(() => closed.resolve())
      server.closeAllConnections()
      await closed.promise
    },
  }
}
