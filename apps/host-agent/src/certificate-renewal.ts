import { setTimeout as sleep } from 'node:timers/promises'
import { EnrolAnswer } from '@cryptvisor/host-agent-api'
import { createRequest, type Identity, readCertificate } from '@cryptvisor/pki'
import { type RestClient, shapeCheck } from '@cryptvisor/rest'
import { AgentError } from './agent-error.ts'
import { checkAnswer } from './enrol.ts'
import { writeIdentity } from './identity-file.ts'

/** How often it is looked at whether the certificate is due, and how long after a failure it is tried again. */
const lookEveryMs = 3_600_000

const answerProblem = shapeCheck(EnrolAnswer, 'the answer')

/** Whom the host is, for its renewal. */
export interface RenewedHost {
  readonly folder: string
  readonly hostId: string
  readonly name: string
  /** The control plane's CA, PEM. */
  readonly ca: string
}

/** Whether two thirds of the certificate's life are over. */
export function isRenewalDue(certificate: string, now: number): boolean {
  const { notBefore, notAfter } = readCertificate(certificate)
  return (now - notBefore.getTime()) * 3 >= (notAfter.getTime() - notBefore.getTime()) * 2
}

/**
 * Has a new key of this host certified over its present identity (`client`), and puts both into place; the old ones are good until
 * the control plane is shown the new ones. Cut off at any point, the host has the one or the other, whole. The caller disposes of the
 * answer. Throws `RestClientError`, AgentError `enrolment-refused`.
 */
export async function renewCertificate(client: RestClient, host: RenewedHost): Promise<Identity> {
  const { csr, privateKey } = await createRequest(host.name)
  using stack = new DisposableStack()
  stack.use(privateKey)
  const answer = await client.call<unknown>({ method: 'POST', path: '/v1/renew', json: { csr } })
  const problem = answerProblem(answer)
  if (problem !== null) throw new AgentError('enrolment-refused', `the control plane’s answer: ${problem.message}`)
  // Just checked against the schema that the type comes from.
  const { certificate, ca, hostId } = answer as EnrolAnswer
  if (hostId !== host.hostId)
    throw new AgentError('enrolment-refused', 'the control plane’s answer is for another host')
  checkAnswer({ hostId, name: host.name, certificate, ca }, host.ca, csr)
  const identity: Identity = { certificate, privateKey, [Symbol.dispose]: () => privateKey[Symbol.dispose]() }
  await writeIdentity(host.folder, identity)
  stack.move()
  return identity
}

/** What tells that a renewal is wanted now. */
export class RenewalWish {
  #wanted = Promise.withResolvers<void>()

  /** Somebody wants the certificate to be renewed. */
  wish(): void {
    this.#wanted.resolve()
  }

  /** Resolves when somebody does; from then on the next wish counts. */
  async taken(): Promise<void> {
    await this.#wanted.promise
    this.#wanted = Promise.withResolvers()
  }
}

export interface RenewalTiming {
  readonly now: () => number
  /** 0 up to 1. */
  readonly random: () => number
}

/** Resolves with `due` when the certificate is to be renewed, with `ended` when `signal` fires first. */
export async function waitForRenewal(
  certificate: string,
  wish: RenewalWish,
  { now, random }: RenewalTiming,
  signal: AbortSignal,
  afterFailure: boolean,
): Promise<'due' | 'ended'> {
  const wished = wish.taken().then(() => 'due' as const)
  for (let wait = afterFailure; !signal.aborted; wait = true) {
    if (!wait && isRenewalDue(certificate, now())) return 'due'
    const stop = new AbortController()
    const pause = sleep(lookEveryMs * (0.5 + random() / 2), null, { signal: AbortSignal.any([signal, stop.signal]) })
    const outcome = await Promise.race([wished, pause.catch(() => null)])
    stop.abort()
    if (outcome === 'due') return 'due'
    if (!signal.aborted && isRenewalDue(certificate, now())) return 'due'
  }
  return 'ended'
}
