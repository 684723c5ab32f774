import { setTimeout as sleep } from 'node:timers/promises'
import { type Heartbeat, heartbeatMs, type SessionRequest } from '@cryptvisor/host-agent-api'
import { type RestClient, RestClientError } from '@cryptvisor/rest'
import type { ControlPlaneEpoch } from './control-plane-epoch.ts'

/** What the session tells of itself. */
export interface SessionLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
}

/** How the session stands, for whoever looks. Times in epoch milliseconds. */
export interface SessionWatch {
  /** Whether the control plane is there. */
  isConnected: boolean
  /** Since when there is a session; `null`: there is none. */
  since: number | null
  lastHeartbeatAt: number | null
  /** Why there was none, when that was last so. */
  lastProblem: { readonly at: number; readonly text: string } | null
}

/** Of a session that was not dialled yet. */
export const newSessionWatch = (): SessionWatch => ({
  isConnected: false,
  since: null,
  lastHeartbeatAt: null,
  lastProblem: null,
})

export interface SessionOptions {
  readonly client: RestClient
  readonly request: SessionRequest
  readonly log: SessionLog
  /** Which control planes this agent works for. */
  readonly epoch: Pick<ControlPlaneEpoch, 'known' | 'meet'>
  /** Is kept up to date, with times of `now`. */
  readonly watch?: SessionWatch
  /** Called when a session begins. */
  readonly begun?: () => void
  /** 0 up to 1. */
  readonly random: () => number
  readonly now?: () => number
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
  { client, request, log, epoch, watch = newSessionWatch(), begun, silenceMaxMs, now = Date.now }: SessionOptions,
  signal: AbortSignal,
): Promise<number> {
  const problem = (text: string) => {
    watch.lastProblem = { at: now(), text }
  }
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
        problem('the control plane is older than one that this host has met')
        log.warn(
          { controlPlane: client.url },
          'the control plane is older than one that this host has met: it was replaced by a restore. Stop it, or see «host-agent set-control-plane --accept-older»',
        )
        return heartbeatCount
      }
      heartbeatCount++
      watch.isConnected = true
      watch.lastHeartbeatAt = now()
      watch.since ??= now()
      if (heartbeatCount > 1) continue
      log.info({ controlPlane: client.url }, 'session with the control plane is there')
      begun?.()
    }
    problem('the control plane ended the session')
    if (!signal.aborted) log.warn({ controlPlane: client.url }, 'the control plane ended the session; dialling again')
  } catch (error) {
    if (signal.aborted) return heartbeatCount
    const reason = silence.signal.aborted ? `no heartbeat for ${limitMs} ms` : reasonOf(error)
    problem(reason)
    log.warn({ controlPlane: client.url, reason }, 'no session with the control plane; dialling again')
  } finally {
    clearTimeout(timer)
    watch.isConnected = false
    watch.since = null
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
