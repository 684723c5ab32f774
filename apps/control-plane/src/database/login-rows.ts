/** A second factor; its secret is sealed (`second-factor/second-factors.ts`). */
export interface SecondFactorRow {
  user_name: string
  sealed_secret: Uint8Array
  /** Since when logins need it; null: it was begun and no code of it was seen yet. */
  confirmed_at: number | null
  /** Of the newest code that counted: neither it nor an older one counts again (RFC 6238, 5.2). */
  last_step: number
  created_at: number
}

/** A code for whoever lost their second factor; gone when it was used. */
export interface RecoveryCodeRow {
  user_name: string
  /** SHA-256, hex, of a code of 80 random bits. */
  code_sha256: string
}

/** Who needs a second factor; one row. */
export interface LoginRuleRow {
  /** Always 1. */
  id: number
  second_factor: 'nobody' | 'administrators' | 'everybody'
}
