import type { RecordedCall } from './fake-control-plane.ts'

/** A GET as the fake control plane records it; `path` lies below `/api/v1`. */
export function get(path: string): RecordedCall {
  return { call: `GET /api/v1${path}`, body: null }
}

/** A POST with its body. */
export function post(path: string, body: unknown): RecordedCall {
  return { call: `POST /api/v1${path}`, body }
}

/** A DELETE. */
export function remove(path: string): RecordedCall {
  return { call: `DELETE /api/v1${path}`, body: null }
}
