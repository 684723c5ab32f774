import { Readable } from 'node:stream'
import {
  EnrolAnswer,
  EnrolRequest,
  type Heartbeat,
  heartbeatMs,
  MachineReport,
  RenewRequest,
  SessionRequest,
} from '@cryptvisor/host-agent-api'
import { buildServer, goodClientCertificate, type RestServer, type TlsIdentity } from '@cryptvisor/rest'
import type { FastifyBaseLogger } from 'fastify'
import type { HostSession } from '../app/host-sessions.ts'
import { pause } from '../app/pause.ts'
import type { Platform } from '../app/platform.ts'
import { toRestError } from './error-table.ts'
import { Nothing } from './parameters.ts'
import { logRequests } from './request-log.ts'
import { type ConnectionLimits, limitClients } from './slow-clients.ts'
import { untilClosed } from './until-closed.ts'

/**
 * Each host has one while it has a session, and another for a moment when it comes again (DESIGN.md, section 7: 10,000
 * hosts); many may stand behind one address.
 */
const connectionLimits: ConnectionLimits = { connectionsMax: 20_000, connectionsPerAddressMax: 10_000 }

/** Room for a host's ten thousand machines, each with a reason of usual length. */
const machineReportSizeMax = 8_388_608

/**
 * Builds the server for hosts. Its one route without a client certificate is enrolment: `tls` has to ask for
 * certificates and take it when there is none.
 */
export async function buildHostsServer(
  { enrolment, hostCertificates, sessions, epoch }: Platform,
  tls: TlsIdentity,
  version: string,
  logger?: FastifyBaseLogger,
): Promise<RestServer> {
  const server = await buildServer({
    title: 'Cryptvisor control plane, for hosts',
    description: 'Enrolment, and the sessions of host agents',
    version,
    tls,
    mapError: toRestError,
    ...(logger === undefined ? {} : { logger }),
  })
  limitClients(server, connectionLimits)
  logRequests(server)
  server.route({
    method: 'POST',
    url: '/v1/enroll',
    schema: { summary: 'Enrol a host with a one-time token', body: EnrolRequest, response: { 200: EnrolAnswer } },
    handler: ({ body }) => enrolment.enrol(body),
  })
  server.route({
    method: 'POST',
    url: '/v1/renew',
    schema: {
      summary: 'Certify another key of a host, which takes the place of its present one when it is used',
      body: RenewRequest,
      response: { 200: EnrolAnswer },
    },
    // Before the body is read: who it is.
    onRequest: async ({ raw }) => {
      await sessions.authenticate(goodClientCertificate(raw)?.raw ?? null)
    },
    handler: async ({ body, raw }) =>
      hostCertificates.renew(await sessions.authenticate(goodClientCertificate(raw)?.raw ?? null), body.csr),
  })
  server.route({
    method: 'POST',
    url: '/v1/session',
    schema: {
      summary: 'Begin a session, which lasts as long as its answer: heartbeats in NDJSON',
      body: SessionRequest,
    },
    // Before the body is read: who it is.
    onRequest: async ({ raw }) => {
      await sessions.authenticate(goodClientCertificate(raw)?.raw ?? null)
    },
    handler: async ({ body, raw }, reply) => {
      const host = await sessions.authenticate(goodClientCertificate(raw)?.raw ?? null)
      const closed = untilClosed(reply.raw)
      const session = await sessions.begin(host, body)
      const end = () => session.end('its connection closed')
      if (closed.aborted) end()
      else closed.addEventListener('abort', end, { once: true })
      return reply.type('application/x-ndjson').send(Readable.from(heartbeats(session, epoch)))
    },
  })
  server.route({
    method: 'POST',
    url: '/v1/machines',
    bodyLimit: machineReportSizeMax,
    schema: {
      summary: 'Say how all machines of a host are; refused (503) before its agent has a session',
      body: MachineReport,
      response: { 204: Nothing },
    },
    // Before the body is read: who it is.
    onRequest: async ({ raw }) => {
      await sessions.authenticate(goodClientCertificate(raw)?.raw ?? null)
    },
    handler: async ({ body, raw }, reply) => {
      const host = await sessions.authenticate(goodClientCertificate(raw)?.raw ?? null)
      await sessions.machinesReported(host, body)
      return reply.code(204).send(null)
    },
  })
  return server
}

/** A line at once, and one every `heartbeatMs`, until the session is over. */
async function* heartbeats({ signal }: HostSession, epoch: number): AsyncGenerator<string, void, undefined> {
  for (let count = 0; !signal.aborted; count++) {
    yield `${JSON.stringify({ heartbeat: count, epoch } satisfies Heartbeat)}\n`
    // Over in the middle of it: the loop sees that.
    await pause(heartbeatMs, signal).catch(() => undefined)
  }
}
