import { setTimeout as sleep } from 'node:timers/promises'
import { type KmipClient, KmipClientError } from '@cryptvisor/kmip-client'
import { type AvoidanceLimits, ServerHealth } from './server-health.ts'

/** How hard to try. */
export interface FailoverLimits extends AvoidanceLimits {
  /** How often all servers are tried. */
  readonly roundsMax: number
  /** After that long no further try is begun. */
  readonly deadlineMs: number
  /** The pause before the second round, on average; it doubles with each round. */
  readonly pauseMs: number
}

export const defaultFailoverLimits: FailoverLimits = {
  roundsMax: 3,
  deadlineMs: 20_000,
  pauseMs: 200,
  avoidMs: 15_000,
  avoidMaxMs: 300_000,
}

/** Time and chance, so that a test can say what they are. */
export interface Environment {
  /** Milliseconds since some fixed moment. */
  readonly now: () => number
  /** From 0 up to 1. */
  readonly random: () => number
  /** Rejects when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<unknown>
}

/** The real ones. */
export const systemEnvironment: Environment = {
  now: () => performance.now(),
  random: Math.random,
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
}

/** One of several servers, with its connection. */
export interface Candidate {
  readonly name: string
  readonly client: KmipClient
}

/** What a server answered, or why none did. */
export class ServerFailure extends Error {
  override readonly name = 'ServerFailure'
  readonly server: string
  override readonly cause: KmipClientError

  constructor(server: string, cause: KmipClientError) {
    super(cause.message, { cause })
    this.server = server
    this.cause = cause
  }
}

/**
 * Asks the first server that answers, in the order given, those that failed lately last (`ServerHealth`). Goes to the
 * next one when a connection fails, never because of an answer. All in vain, it pauses and begins again, a few times.
 */
export class Failover implements AsyncDisposable {
  readonly #candidates: readonly Candidate[]
  readonly #limits: FailoverLimits
  readonly #environment: Environment
  readonly #health: ReadonlyMap<Candidate, ServerHealth>
  readonly #stopping = new AbortController()

  constructor(candidates: readonly Candidate[], limits: FailoverLimits, environment: Environment) {
    this.#candidates = candidates
    this.#limits = limits
    this.#environment = environment
    this.#health = new Map(candidates.map((candidate) => [candidate, new ServerHealth(limits, environment.random)]))
  }

  /** Throws a ServerFailure: with the answer that refuses, or with the last connection's failure. */
  async run<Result>(use: (client: KmipClient) => Promise<Result>): Promise<Result> {
    const deadline = this.#environment.now() + this.#limits.deadlineMs
    let last: ServerFailure | null = null
    for (let round = 0; round < this.#limits.roundsMax; round++) {
      if (round > 0) await this.#pause(round)
      for (const candidate of this.#inOrder()) {
        if (last !== null && (this.#environment.now() >= deadline || this.#stopping.signal.aborted)) throw last
        try {
          return await this.#ask(candidate, use)
        } catch (error) {
          if (!(error instanceof ServerFailure) || !isConnectionFailure(error.cause)) throw error
          last = error
        }
      }
      // A certificate that is not trusted now will not be in a moment.
      if (last?.cause.code === 'tls-failed') throw last
    }
    throw last ?? new RangeError('a provider has at least one server')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#candidates.map(({ client }) => client[Symbol.asyncDispose]()))
  }

  /** Throws a ServerFailure, and what `use` throws beside KmipClientErrors. */
  async #ask<Result>(candidate: Candidate, use: (client: KmipClient) => Promise<Result>): Promise<Result> {
    const health = this.#health.get(candidate)
    health?.begins()
    try {
      const result = await use(candidate.client)
      health?.answered()
      return result
    } catch (error) {
      if (!(error instanceof KmipClientError)) {
        health?.undecided()
        throw error
      }
      if (isConnectionFailure(error)) health?.failed(this.#environment.now())
      else if (error.code === 'operation-failed') health?.answered()
      else health?.undecided()
      throw new ServerFailure(candidate.name, error)
    }
  }

  #inOrder(): Candidate[] {
    const now = this.#environment.now()
    const avoided = new Set(this.#candidates.filter((candidate) => this.#health.get(candidate)?.isAvoided(now)))
    return [...this.#candidates.filter((candidate) => !avoided.has(candidate)), ...avoided]
  }

  /** Half to one and a half times the pause, so that many hosts do not come back at the same moment. */
  async #pause(round: number): Promise<void> {
    const ms = this.#limits.pauseMs * 2 ** (round - 1) * (0.5 + this.#environment.random())
    await this.#environment.sleep(ms, this.#stopping.signal).catch(() => undefined)
  }
}

function isConnectionFailure(error: KmipClientError): boolean {
  switch (error.code) {
    case 'connect-failed':
    case 'tls-failed':
    case 'timeout':
    case 'closed':
      return true
    case 'invalid-options':
    case 'busy':
    case 'invalid-request':
    case 'protocol':
    case 'operation-failed':
      return false
  }
}
