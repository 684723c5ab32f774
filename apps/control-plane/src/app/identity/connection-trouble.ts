const untrusted = 'its certificate is by no CA that is trusted here: give the CA of the source (--server-ca)'

/** What the system's and the TLS library's codes mean, and what to do. */
const texts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is it down, or is the port another one?',
  ENOTFOUND: 'its name is not known: look at the address and at DNS',
  EAI_AGAIN: 'DNS does not answer: look at the resolver of this machine',
  EHOSTUNREACH: 'no way leads there: look at routes and firewalls',
  ENETUNREACH: 'no way leads there: look at routes and firewalls',
  ETIMEDOUT: 'it does not answer: look at firewalls',
  ABORT_ERR: 'it does not answer in time',
  ECONNRESET: 'it broke the connection off',
  EPROTO: 'it does not speak TLS there',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS there',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name than this address',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet: compare the clocks',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
}

/** Why there is no connection, in words where we have some, with the code. Node's network errors carry one. */
export function connectionTrouble(error: unknown): string {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null
  if (code === null) return error instanceof Error ? error.message : 'unknown'
  const text = texts[code]
  return text === undefined ? code : `${text} (${code})`
}
