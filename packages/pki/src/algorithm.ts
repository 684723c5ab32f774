/** ECDSA over P-256 with SHA-256: short handshakes, and every TLS 1.2 and 1.3 peer has it. */
export const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
