import type { ReadinessCheck } from '@cryptvisor/control-plane-api'
import { readCertificate } from '@cryptvisor/pki'
import type { Kysely } from 'kysely'
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { Schema } from '../../database/schema.ts'
import type { Clock } from '../clock.ts'
import { type Figure, readFigures } from './figures.ts'

/** What metrics are made from. */
export interface MetricsParts {
  readonly database: Kysely<Schema>
  readonly clock: Clock
  readonly version: string
  /** PEM. */
  readonly ca: string
  /** How many hosts have a session. */
  readonly connectedCount: () => number
  readonly checks: () => Promise<readonly ReadinessCheck[]>
}

/** A request that was answered. */
export interface AnsweredRequest {
  readonly method: string
  /** The route's pattern, never a path as it came; null: there was none. */
  readonly route: string | null
  readonly status: number
  readonly seconds: number
}

/** What Prometheus reads: counts from the database, and what this process has done. No label names a VM, a host or a user. */
export class Metrics implements Disposable {
  readonly #parts: MetricsParts
  readonly #registry = new Registry()
  readonly #gauges = new Map<string, Gauge>()
  readonly #requests: Histogram<'method' | 'route' | 'status'>
  readonly #events: Counter<'severity'>
  #lastEvent: number | null = null
  #reading: Promise<string> | null = null

  constructor(parts: MetricsParts) {
    this.#parts = parts
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    const info = { name: 'cryptvisor_build_info', help: 'Always 1; the label says which version runs' }
    new Gauge({ ...info, labelNames: ['version'], registers }).set({ version: parts.version }, 1)
    this.#requests = new Histogram({
      name: 'cryptvisor_http_request_seconds',
      help: 'Answered requests of users by route and status',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    })
    this.#events = new Counter({
      name: 'cryptvisor_events_total',
      help: 'Events that were recorded since this process was first read',
      labelNames: ['severity'],
      registers,
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Notes a request that was answered. */
  answered({ method, route, status, seconds }: AnsweredRequest): void {
    this.#requests.observe({ method, route: route ?? 'none', status: String(status) }, seconds)
  }

  /** All of them as text. Who asks while it is read already gets the same answer. */
  read(): Promise<string> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null
    })
    return this.#reading
  }

  [Symbol.dispose](): void {
    this.#registry.clear()
  }

  async #read(): Promise<string> {
    const { database, clock, ca, connectedCount, checks } = this.#parts
    for (const figure of await readFigures(database, clock())) this.#set(figure)
    const hostCount = Number(
      (
        await database
          .selectFrom('host')
          .select((select) => select.fn.countAll().as('count'))
          .executeTakeFirstOrThrow()
      ).count,
    )
    this.#set({
      name: 'cryptvisor_hosts',
      help: 'Hosts by whether they have a session',
      labels: ['connection'],
      values: [
        { labels: { connection: 'connected' }, value: connectedCount() },
        { labels: { connection: 'disconnected' }, value: Math.max(0, hostCount - connectedCount()) },
      ],
    })
    this.#set({
      name: 'cryptvisor_ca_certificate_seconds_left',
      help: 'Until the certificate of the control plane’s authority ends',
      labels: [],
      values: [{ labels: {}, value: (readCertificate(ca).notAfter.getTime() - clock()) / 1000 }],
    })
    this.#set({
      name: 'cryptvisor_ready',
      help: 'Whether each check of readiness passes',
      labels: ['check'],
      values: (await checks()).map(({ name, ok }) => ({ labels: { check: name }, value: ok ? 1 : 0 })),
    })
    await this.#countEvents()
    return this.#registry.metrics()
  }

  /** Those that are new since the last time; events are pruned, so their number on record says nothing. */
  async #countEvents(): Promise<void> {
    const { database } = this.#parts
    const last = await database
      .selectFrom('event')
      .select((select) => select.fn.max('id').as('id'))
      .executeTakeFirst()
    const lastId = Number(last?.id ?? 0)
    for (const severity of ['info', 'warning', 'error']) this.#events.inc({ severity }, 0)
    if (this.#lastEvent !== null && lastId > this.#lastEvent) {
      const rows = await database
        .selectFrom('event')
        .select((select) => ['severity', select.fn.countAll().as('count')])
        .where('id', '>', this.#lastEvent)
        .where('id', '<=', lastId)
        .groupBy('severity')
        .execute()
      for (const { severity, count } of rows) this.#events.inc({ severity }, Number(count))
    }
    this.#lastEvent = lastId
  }

  #set({ name, help, labels, values }: Figure): void {
    const gauge =
      this.#gauges.get(name) ?? new Gauge({ name, help, labelNames: [...labels], registers: [this.#registry] })
    this.#gauges.set(name, gauge)
    gauge.reset()
    // A gauge without labels shows 0 after a reset, and must not where nothing is known.
    if (values.length === 0 && labels.length === 0) gauge.remove()
    for (const value of values) gauge.set({ ...value.labels }, value.value)
  }
}
