import swagger from '@fastify/swagger'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, { type FastifyBaseLogger, type FastifyError, LogController } from 'fastify'
import type { TSchema } from 'typebox'
import { nameSchemas } from './named-schemas.ts'
import { RestError } from './rest-error.ts'
import { type TlsIdentity, tlsOptions } from './tls-identity.ts'
import { validatorCompiler } from './validation.ts'

/** The largest JSON body that a service reads. */
export const jsonBodySizeMax = 262_144

/** The longest parameter within a path, in characters. */
const parameterSizeMax = 512

export interface ServerOptions {
  readonly title: string
  readonly description: string
  readonly version: string
  readonly tls: TlsIdentity
  /** Turns an error of the business code into one for the peer; `null` means a fault of ours (500, no detail). */
  readonly mapError: (error: unknown) => RestError | null
  readonly logger?: FastifyBaseLogger
  /** OpenAPI security scheme name, when callers show a bearer token. */
  readonly bearer?: boolean
  /** Schemas that the OpenAPI document names under `components` instead of writing them out at each place. */
  readonly schemas?: Readonly<Record<string, TSchema>>
}

/**
 * Builds a REST server over TLS 1.3 (1.2 is not spoken between our own programs). Bodies are strict; answers are
 * serialized by their schema; errors have one shape (`ErrorBody`); `/openapi.json` is served. `application/octet-stream`
 * bodies are handed over as the unread stream.
 */
export async function buildServer(options: ServerOptions) {
  const app = Fastify({
    https: tlsOptions(options.tls),
    bodyLimit: jsonBodySizeMax,
    return503OnClosing: true,
    forceCloseConnections: true,
    requestTimeout: 0,
    routerOptions: { maxParamLength: parameterSizeMax },
    // No hooks and no serializers run for these: there is no route.
    frameworkErrors: (error, _request, { raw }) => {
      raw.writeHead(400, { 'content-type': 'application/json; charset=utf-8' })
      raw.end(JSON.stringify(bodyOf(unroutable(error))))
    },
    ...(options.logger === undefined
      ? { logger: false }
      : {
          loggerInstance: options.logger,
          logController: new LogController({ disableRequestLogging: true }),
        }),
  }).withTypeProvider<TypeBoxTypeProvider>()
  app.setValidatorCompiler(validatorCompiler)
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))

  app.setErrorHandler((error: FastifyError | RestError, request, reply) => {
    const known = error instanceof RestError ? error : (options.mapError(error) ?? fromFastify(error))
    if (known.status >= 500) request.log.error({ err: known.cause ?? error, code: known.code }, 'request failed')
    return reply.code(known.status).send(bodyOf(known))
  })
  app.setNotFoundHandler((request, reply) =>
    reply
      .code(404)
      .send(
        bodyOf(new RestError(404, 'no-such-route', `${request.method} ${request.url.split('?')[0]} does not exist`)),
      ),
  )

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: options.title, description: options.description, version: options.version },
      ...(options.bearer === true
        ? {
            components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
            security: [{ bearer: [] }],
          }
        : {}),
    },
    transformObject: (document) =>
      nameSchemas('openapiObject' in document ? document.openapiObject : document.swaggerObject, options.schemas ?? {}),
  })
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  return app
}

/** What `buildServer` gives: a Fastify instance that takes its types from TypeBox schemas. */
export type RestServer = Awaited<ReturnType<typeof buildServer>>

function bodyOf(error: RestError) {
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(error.field === undefined ? {} : { field: error.field }),
    },
  }
}

/** A path for which Fastify looks for no route. */
function unroutable({ code }: FastifyError): RestError {
  const expected =
    code === 'FST_ERR_MAX_PARAM_LENGTH'
      ? `names and IDs of at most ${parameterSizeMax} characters`
      : 'a path in percent-encoding (RFC 3986, 2.1)'
  return new RestError(400, 'invalid-request', `path: expected ${expected}`, { field: 'path' })
}

/** Fastify's own refusals keep their status; anything else is ours and says nothing. */
function fromFastify(error: FastifyError): RestError {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new RestError(413, 'body-too-large', `body: has more than ${jsonBodySizeMax} bytes`, { field: 'body' })
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new RestError(415, 'wrong-content-type', 'content-type: expected application/json', {
        field: 'content-type',
      })
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new RestError(400, 'invalid-request', 'body: expected one JSON object', { field: 'body' })
    default:
      if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
        return new RestError(400, 'invalid-request', 'body: expected one JSON value', { field: 'body', cause: error })
      }
      return new RestError(500, 'internal', 'something failed on our side; the log of the service has the cause', {
        cause: error,
      })
  }
}
