import {
  AuditCheck,
  AuditPage,
  AuditQuery,
  CertificatePath,
  ClientList,
  Health,
  ManagedObject,
  ObjectPath,
  ObjectsPage,
  ObjectsQuery,
} from '@cryptvisor/key-server-api'
import { readCertificate } from '@cryptvisor/pki'
import {
  addHealthRoutes,
  buildServer,
  ErrorBody,
  goodClientCertificate,
  type HealthCheck,
  isHealth,
  RestError,
  type RestServer,
} from '@cryptvisor/rest'
import type { Logger } from 'pino'
import { type TSchema, Type } from 'typebox'
import type { CertificateRegister } from '../database/certificate-register.ts'
import type { AdminData } from './admin-data.ts'

export interface AdminOptions {
  readonly tls: { readonly certificate: string; readonly privateKey: Uint8Array; readonly clientCa: string }
  readonly data: AdminData
  readonly register: CertificateRegister
  readonly version: string
  readonly now: () => Date
  /** Where KMIP is spoken. */
  readonly kmip: () => { readonly host: string; readonly port: number }
  /** Ends the KMIP connections of a certificate. */
  readonly disconnect: (fingerprint: string) => void
  /** Whether it can give keys. */
  readonly checks: () => Promise<HealthCheck[]>
  readonly log: Logger
}

/** The admin API: for whoever shows an administrator's certificate that is on record. */
export async function buildAdminServer(options: AdminOptions): Promise<RestServer> {
  const { data, register, log } = options
  const app = await buildServer({
    title: 'Cryptvisor key server',
    description: 'What the key server holds, for its administrators: everything but keys.',
    version: options.version,
    tls: options.tls,
    mapError: () => null,
    logger: log,
  })
  app.addHook('onRequest', async (request) => {
    const certificate = goodClientCertificate(request.raw)
    // Whoever supervises the key server needs to be no administrator; any client of its CA will do.
    if (certificate !== null && isHealth(request.raw.url)) return
    const fingerprint = certificate === null ? null : readCertificate(certificate.raw).fingerprint256
    const name = fingerprint === null ? null : await register.nameOf('administrator', fingerprint)
    if (name === null) throw new RestError(403, 'not-an-administrator', 'this certificate is not an administrator’s')
  })

  addHealthRoutes(app, options.checks)
  app.get('/v1/health', { schema: answers(Health) }, async () => ({
    version: options.version,
    time: options.now().toISOString(),
    kmip: options.kmip(),
    ...(await data.counts()),
  }))
  app.get('/v1/objects', { schema: { querystring: ObjectsQuery, ...answers(ObjectsPage) } }, (request) =>
    data.objects(request.query),
  )
  app.get('/v1/objects/:id', { schema: { params: ObjectPath, ...answers(ManagedObject) } }, async (request) => {
    const object = await data.object(request.params.id)
    if (object === null) throw new RestError(404, 'no-such-object', 'id: there is no such object', { field: 'id' })
    return object
  })
  app.get('/v1/audit', { schema: { querystring: AuditQuery, ...answers(AuditPage) } }, (request) =>
    data.audit(request.query),
  )
  app.get('/v1/audit/check', { schema: answers(AuditCheck) }, () => data.checkAudit())
  app.get('/v1/clients', { schema: answers(ClientList) }, () => data.clients())
  app.post(
    '/v1/certificates/:fingerprint/revocation',
    { schema: { params: CertificatePath, response: { 204: Type.Null(), default: ErrorBody } } },
    async (request, reply) => {
      const { fingerprint } = request.params
      if (!(await register.revoke(fingerprint))) {
        throw new RestError(404, 'no-such-certificate', 'fingerprint: no certificate on record has it', {
          field: 'fingerprint',
        })
      }
      log.info({ fingerprint }, 'certificate revoked')
      options.disconnect(fingerprint)
      return reply.code(204).send(null)
    },
  )
  return app
}

function answers<Schema extends TSchema>(schema: Schema) {
  return { response: { 200: schema, default: ErrorBody } } as const
}
