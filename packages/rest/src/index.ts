export {
  type Call,
  type ClientOptions,
  jsonAnswerSizeMax,
  pathOf,
  RestClient,
  RestClientError,
  type RestClientErrorCode,
} from './client.ts'
export { fetchPinnedCa } from './pinned-ca.ts'
export { ErrorBody, type ErrorStatus, RestError } from './rest-error.ts'
export { readSecret } from './secret-body.ts'
export { buildServer, jsonBodySizeMax, type RestServer, type ServerOptions, type TlsIdentity } from './server.ts'
export { type ShapeProblem, shapeCheck } from './validation.ts'
