import { setTimeout as sleep } from 'node:timers/promises'
import { type Heartbeat, heartbeatMs, type SessionRequest } from '@cryptvisor/host-agent-api'
import { type RestClient, RestClientError } from '@cryptvisor/rest'
import type { ControlPlaneEpoch } from './control-plane-epoch.ts'

/** What the session tells of itself. */
export interface SessionLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

/** Whether the control plane is there. */
export interface SessionWatch {
  isConnected: boolean
}

export interface SessionOptions {
  readonly client: RestClient
  readonly request: SessionRequest
  readonly log: SessionLog
  /** Which control planes this agent works for. */
  readonly epoch: Pick<ControlPlaneEpoch, 'known' | 'meet'>
  /** Is kept up to date. */
  readonly watch?: SessionWatch
  /** 0 up to 1. */
  readonly random: () => number
  /** The wait before the second try; it doubles up to `waitMaxMs`. */
  readonly waitMinMs?: number
  readonly waitMaxMs?: number
  /** How long no heartbeat may come before we dial again. */
  readonly silenceMaxMs?: number
}

/**
 * Keeps the agent's session with the control plane: dials, listens to the heartbeats, and dials again, ever more slowly and
 * at random moments so that ten thousand agents do not come at once. Nothing else depends on it: operations and VMs go on
 * while there is none. Resolves when `signal` is aborted, and never rejects.
 */
export async function keepSession(options: SessionOptions, signal: AbortSignal): Promise<void> {
  const { waitMinMs = 250, waitMaxMs = 30_000 } = options
  let waitMs = waitMinMs
  while (!signal.aborted) {
    const heartbeatCount = await holdSession(options, signal)
    if (signal.aborted) return
    if (heartbeatCount > 0) waitMs = waitMinMs
    await sleep(waitMs * (0.5 + options.random() / 2), undefined, { signal }).catch(() => {})
    waitMs = Math.min(waitMs * 2, waitMaxMs)
  }
}

/** One session, from the dial to its end; gives how many heartbeats came. */
async function holdSession(
  { client, request, log, epoch, watch, silenceMaxMs }: SessionOptions,
  signal: AbortSignal,
): Promise<number> {
  const silence = new AbortController()
  const limitMs = silenceMaxMs ?? 3 * heartbeatMs
  const timer = setTimeout(() => silence.abort(), limitMs)
  let heartbeatCount = 0
  try {
    const lines = client.lines({
      method: 'POST',
      path: '/v1/session',
      json: { ...request, epoch: epoch.known },
      signal: AbortSignal.any([signal, silence.signal]),
    })
    for await (const line of lines) {
      timer.refresh()
      if (!(await epoch.meet(epochIn(line)))) {
        log.warn(
          { controlPlane: client.url },
          'the control plane is older than one that this host has met: it was replaced by a restore. Stop it, or see «host-agent set-control-plane --accept-older»',
        )
        return heartbeatCount
      }
      heartbeatCount++
      if (watch !== undefined) watch.isConnected = true
      if (heartbeatCount === 1) log.info({ controlPlane: client.url }, 'session with the control plane is there')
    }
    if (!signal.aborted) log.warn({ controlPlane: client.url }, 'the control plane ended the session; dialling again')
  } catch (error) {
    if (signal.aborted) return heartbeatCount
    const reason = silence.signal.aborted ? `no heartbeat for ${limitMs} ms` : reasonOf(error)
    log.warn({ controlPlane: client.url, reason }, 'no session with the control plane; dialling again')
  } finally {
    clearTimeout(timer)
    if (watch !== undefined) watch.isConnected = false
  }
  return heartbeatCount
}

/** What a heartbeat says of who sends it; 0 where it says nothing. */
function epochIn(line: string): number {
  // The control plane writes it by this schema, and TLS said that it is the control plane.
  const { epoch } = JSON.parse(line) as Heartbeat
  return Number.isSafeInteger(epoch) ? (epoch ?? 0) : 0
}

function reasonOf(error: unknown): string {
  return error instanceof RestClientError ? error.message : 'an unexpected fault'
}
