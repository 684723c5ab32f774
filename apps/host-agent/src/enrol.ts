import { X509Certificate } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import { EnrolAnswer, EnrolmentToken, hostUri } from '@cryptvisor/host-agent-api'
import { createRequest, readCertificate } from '@cryptvisor/pki'
import { fetchPinnedCa, RestClient, RestClientError, shapeCheck } from '@cryptvisor/rest'
import { AgentError } from './agent-error.ts'
import { type AgentConfig, agentFiles, readConfig } from './config.ts'
import { freePort } from './free-port.ts'
import { type HardwareUuidSource, hardwareUuid } from './hardware-uuid.ts'
import { writeIdentity } from './identity-file.ts'
import { writeAgentFile } from './write-agent-file.ts'

export interface EnrolOptions {
  /** The agent's own folder; made when it is not there. */
  readonly folder: string
  /** Host name or address at which the control plane reaches this agent. */
  readonly urlHost: string
  /** `null`: a free one, chosen now and kept. */
  readonly port: number | null
  readonly hardwareUuid: HardwareUuidSource
  /** A folder that is enrolled under this name may be enrolled again: its certificate is over, or its key in wrong hands. */
  readonly again?: boolean
}

const tokenProblem = shapeCheck(EnrolmentToken, 'the token')
const answerProblem = shapeCheck(EnrolAnswer, 'the answer')

/**
 * Makes this machine a host of a control plane: trusts the CA whose fingerprint the one-time token carries and no other,
 * makes a key pair that never leaves this folder, has it certified, and writes identity and configuration. Throws
 * AgentError `bad-usage`, `already-enrolled`, `enrolment-refused`.
 */
export async function enrol(tokenText: string, options: EnrolOptions): Promise<AgentConfig> {
  const token = readToken(tokenText)
  const existing = await readConfig(options.folder)
  if (existing !== null && (options.again !== true || existing.name !== token.hostName)) {
    const next =
      existing.name === token.hostName
        ? 'give --again to enrol it again, which keeps its identity, VMs and settings'
        : 'use another folder, or remove this one'
    throw new AgentError(
      'already-enrolled',
      `${options.folder} belongs to host ${existing.name} (${existing.hostId}); ${next}`,
    )
  }
  await mkdir(options.folder, { recursive: true, mode: 0o700 })
  const port = options.port ?? existing?.port ?? (await portAt(options.urlHost))
  const url = `https://${isIPv6(options.urlHost) ? `[${options.urlHost}]` : options.urlHost}:${port}`
  const uuid = existing?.hardwareUuid ?? (await hardwareUuid(options.hardwareUuid))
  const { csr, privateKey } = await createRequest(token.hostName)
  using key = privateKey
  const { answer, ca } = await ask(token, { csr, hardwareUuid: uuid, url })
  checkAnswer(answer, ca, csr)
  const config: AgentConfig = {
    ...existing,
    name: answer.name,
    hostId: answer.hostId,
    hardwareUuid: uuid,
    url,
    port,
    controlPlaneUrl: token.url,
    crypto: existing?.crypto ?? 'supported',
  }
  await writeIdentity(options.folder, {
    certificate: answer.certificate,
    privateKey: key,
    [Symbol.dispose]: () => undefined,
  })
  await writeAgentFile(agentFiles.ca(options.folder), Buffer.from(ca))
  // Last: with it the folder counts as enrolled.
  await writeAgentFile(agentFiles.config(options.folder), Buffer.from(`${JSON.stringify(config, null, 2)}\n`))
  return config
}

/** Reads a token as the control plane gave it out. Throws AgentError `bad-usage`; its text never repeats the token. */
export function readToken(text: string): EnrolmentToken {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(text.trim(), 'base64url').toString('utf8'))
  } catch {
    // The parser's own error quotes the text.
    throw new AgentError('bad-usage', 'standard input: expected the token of «cryptvisor host enroll», on one line')
  }
  const problem = tokenProblem(value)
  if (problem !== null) throw new AgentError('bad-usage', `standard input: the token is damaged: ${problem.message}`)
  // Just checked against the schema that the type comes from.
  return value as EnrolmentToken
}

async function ask(
  token: EnrolmentToken,
  request: { readonly csr: string; readonly hardwareUuid: string; readonly url: string },
): Promise<{ answer: EnrolAnswer; ca: string }> {
  try {
    const ca = await fetchPinnedCa(token.url, token.caFingerprint256)
    await using client = new RestClient({ url: token.url, ca })
    const answer = await client.call<unknown>({
      method: 'POST',
      path: '/v1/enroll',
      json: { secret: token.secret, ...request },
    })
    const problem = answerProblem(answer)
    if (problem !== null) throw new AgentError('enrolment-refused', `the control plane’s answer: ${problem.message}`)
    // Just checked against the schema that the type comes from.
    return { answer: answer as EnrolAnswer, ca }
  } catch (cause) {
    if (!(cause instanceof RestClientError)) throw cause
    throw new AgentError('enrolment-refused', `the control plane did not enrol this host: ${cause.message}`, { cause })
  }
}

/** Throws AgentError `enrolment-refused`: the certificate must stand under the pinned CA, be for our own key, and name the host that the answer names. */
export function checkAnswer(answer: EnrolAnswer, ca: string, csr: string): void {
  const refuse = (text: string) => new AgentError('enrolment-refused', `the control plane’s answer: ${text}`)
  const parse = (pem: string, what: string) => {
    try {
      return new X509Certificate(pem)
    } catch {
      throw refuse(`${what}: expected a certificate in PEM`)
    }
  }
  const certificate = parse(answer.certificate, 'certificate')
  const authority = parse(ca, 'ca')
  if (parse(answer.ca, 'ca').fingerprint256 !== authority.fingerprint256) throw refuse('it shows another CA')
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey)) {
    throw refuse('the certificate does not stand under its CA')
  }
  const { uris } = readCertificate(answer.certificate)
  if (uris.length !== 1 || uris[0] !== hostUri(answer.hostId)) throw refuse('the certificate names another host')
  if (!holdsKeyOf(csr, certificate)) throw refuse('the certificate is for another key')
}

/** Whether the request's DER holds the certificate's public key, which is a part of it as it stands (RFC 2986, 4.1). */
function holdsKeyOf(csr: string, certificate: X509Certificate): boolean {
  const der = Buffer.from(csr.replace(/-----[^-]*-----|\s/g, ''), 'base64')
  return der.includes(certificate.publicKey.export({ type: 'spki', format: 'der' }))
}

async function portAt(host: string): Promise<number> {
  try {
    return await freePort(host)
  } catch (cause) {
    throw new AgentError('bad-usage', `--url-host ${host}: is no address of this machine; give --port as well`, {
      cause,
    })
  }
}
