export {
  type Call,
  type ClientOptions,
  jsonAnswerSizeMax,
  pathOf,
  RestClient,
  RestClientError,
  type RestClientErrorCode,
  type StreamedAnswer,
} from './client.ts'
export { goodClientCertificate } from './client-certificate.ts'
export { addHealthRoutes, type HealthCheck, isHealth, Live } from './health.ts'
export { fetchPinnedCa } from './pinned-ca.ts'
export { ErrorBody, type ErrorStatus, RestError } from './rest-error.ts'
export { readSecret } from './secret-body.ts'
export { buildServer, jsonBodySizeMax, type RestServer, type ServerOptions } from './server.ts'
export { renewIdentity, type TlsIdentity } from './tls-identity.ts'
export { type ShapeProblem, shapeCheck } from './validation.ts'
