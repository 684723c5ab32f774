import type { X509Certificate } from 'node:crypto'
import { KmipClientError } from './kmip-client-error.ts'

/** What people call a server. */
export const placeOf = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** Addresses are not sent as server names (RFC 6066, 3). */
export const nameOfHost = (host: string): { servername?: string } =>
  host.includes(':') || /^[0-9.]+$/.test(host) ? {} : { servername: host }

/** Why there is no connection, and what to do. */
export function connectionError(cause: Error, place: string): KmipClientError {
  const code = codeOf(cause)
  return new KmipClientError('connect-failed', `${place} cannot be reached (${code}): ${connectionAdvice(code)}`, {
    cause,
  })
}

function connectionAdvice(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'nobody listens at that port; start the key server, or correct the port'
    case 'ENOTFOUND':
      return 'there is no such host name; correct the name, or mend the name server'
    case 'EAI_AGAIN':
      return 'the name server does not answer; mend it, or give the server’s address'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to that address; mend the network'
    case 'ECONNRESET':
      return 'the connection was cut at once; see whether something between lets KMIP through'
    default:
      return 'mend the network, or correct the address'
  }
}

/** Why the handshake failed; the other side's alerts (RFC 8446, 6.2) tell what it does not like about us. */
export function handshakeError(cause: Error, place: string): KmipClientError {
  const code = codeOf(cause)
  return new KmipClientError('tls-failed', `no TLS connection to ${place} (${code}): ${handshakeAdvice(code)}`, {
    cause,
  })
}

function handshakeAdvice(code: string): string {
  if (/ALERT_CERTIFICATE_EXPIRED/.test(code)) {
    return 'it says that our client certificate has expired; renew that («key-provider trust»)'
  }
  if (/ALERT_(UNKNOWN_CA|CERTIFICATE_UNKNOWN|BAD_CERTIFICATE|ACCESS_DENIED)/.test(code)) {
    return 'it does not know our client certificate; see whether it trusts the one that «key-provider show» tells of'
  }
  if (/ALERT_UNSUPPORTED_CERTIFICATE/.test(code)) {
    return 'it does not take our client certificate for what it is; see whether that has the extended key usage clientAuth and a key that the server knows'
  }
  if (/ALERT_CERTIFICATE_REVOKED/.test(code)) {
    return 'it says that our client certificate is revoked; get another one («key-provider trust»)'
  }
  if (/CERTIFICATE_REQUIRED/.test(code)) return 'it wants a client certificate and got none'
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(code)) {
    return 'what answers there does not speak TLS; correct the port (KMIP has 5696)'
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|NO_PROTOCOLS/.test(code)) {
    return 'it has neither TLS 1.2 nor 1.3; update the key server'
  }
  return 'it ended the handshake; see its log, and whether it trusts our client certificate'
}

/**
 * Why a server is not trusted, from Node's own code of a check that failed; both sides of the comparison are named.
 */
export function untrustedError(shown: X509Certificate, code: string, place: string): KmipClientError {
  return new KmipClientError(
    'tls-failed',
    `${place} is not trusted (${code}): its certificate (${describe(shown)}) ${untrustedAdvice(code, shown)}`,
  )
}

function untrustedAdvice(code: string, shown: X509Certificate): string {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return `has expired on ${shown.validTo}; renew it at the key server`
    case 'CERT_NOT_YET_VALID':
      return 'is not valid yet; compare the clocks of the key server and the control plane'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `is for other names (${shown.subjectAltName ?? 'none'}); use one of these as the address, or trust this certificate itself («key-provider trust server»)`
    case 'INVALID_PURPOSE':
    case 'UNSUPPORTED_CERTIFICATE_PURPOSE':
      return 'is not for a server; it needs the extended key usage serverAuth'
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'CERT_SIGNATURE_FAILURE':
      return 'comes from no authority that is trusted for this provider; trust that one («key-provider trust server», with --server-ca FILE), or this certificate itself (without)'
    default:
      return 'cannot be verified; see the key server’s certificate: «key-provider trust server»'
  }
}

/** A pinned server that shows another certificate. */
export function otherCertificateError(found: X509Certificate, pinned: string, place: string): KmipClientError {
  return new KmipClientError(
    'tls-failed',
    `${place} shows another certificate than the trusted one: it has the fingerprint ${fingerprintOf(found)} (${describe(found)}), trusted is ${pinned}; when you know why it changed, trust the new one: «key-provider trust server»`,
  )
}

/** With TLS 1.3 a server refuses our certificate only after the handshake. */
export function brokenError(cause: Error, place: string): KmipClientError {
  return codeOf(cause).startsWith('ERR_SSL_')
    ? handshakeError(cause, place)
    : new KmipClientError('closed', `the connection to ${place} broke (${codeOf(cause)})`, { cause })
}

/** SHA-256, hexadecimal, lower case. */
export function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

function describe(certificate: X509Certificate): string {
  const oneLine = (name: string) => name.replaceAll('\n', ', ')
  return `subject ${oneLine(certificate.subject)}, issuer ${oneLine(certificate.issuer)}`
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
