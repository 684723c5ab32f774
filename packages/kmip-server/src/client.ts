/** Who speaks: found from the certificate before anything of a message is read. */
export interface Client {
  /** The owner of what this client makes. Certificates of the same client share it. */
  readonly name: string
  /** SHA-256 over the certificate's DER, 64 hex digits in lower case; for the audit. */
  readonly certificateFingerprint: string
  /** From where the connection comes; for the audit. */
  readonly address: string
}
