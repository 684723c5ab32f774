/** How often a password is hashed: what OWASP asks of PBKDF2-HMAC-SHA-256. */
export const roundsDefault = 600_000

/** More rounds than that are not computed for a file that somebody brings. */
export const roundsMax = 5_000_000
