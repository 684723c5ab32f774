import type { LdapEntry } from './ldap-response.ts'

/**
 * Whether somebody may log in. `disabled` and `expired` also end what they have; `locked` (which anybody can bring about who
 * guesses passwords there) and `password-expired` only keep them from logging in.
 */
export type AccountState = 'open' | 'disabled' | 'expired' | 'locked' | 'password-expired'

/** How each state is told. */
export const stateTexts: Readonly<Record<AccountState, string>> = {
  open: 'may log in',
  disabled: 'is disabled',
  expired: 'has expired',
  locked: 'is locked after wrong passwords',
  'password-expired': 'has an expired password',
}

/** Whether sessions and API tokens are over. */
export const endsEverything = (state: AccountState) => state === 'disabled' || state === 'expired'

/** The attributes that `activeDirectoryState` looks at. */
export const activeDirectoryStateAttributes = [
  'userAccountControl',
  'msDS-User-Account-Control-Computed',
  'accountExpires',
] as const

const accountDisabled = 0x2
const lockedOut = 0x10
const passwordExpired = 0x80_0000
/** FILETIME: 100 ns since 1601. */
const filetimePerMs = 10_000n
const filetimeEpochMs = 11_644_473_600_000n
const filetimeNever = 0x7fff_ffff_ffff_ffffn

/** [MS-ADTS] 2.2.16, 3.1.1.4.5.17: locked and expired passwords are in the computed attribute alone. */
export function activeDirectoryState(entry: LdapEntry, now: number): AccountState {
  const flags = numberOf(entry, 'userAccountControl')
  // Every user there has them: an entry without them is one that we may not see as we should.
  if (flags === null) return 'disabled'
  if ((flags & accountDisabled) !== 0) return 'disabled'
  const expires = bigOf(entry, 'accountExpires') ?? 0n
  if (expires !== 0n && expires !== filetimeNever && expires / filetimePerMs - filetimeEpochMs <= BigInt(now)) {
    return 'expired'
  }
  const computed = numberOf(entry, 'msDS-User-Account-Control-Computed') ?? 0
  if ((computed & lockedOut) !== 0) return 'locked'
  return (computed & passwordExpired) === 0 ? 'open' : 'password-expired'
}

/** The attributes that `openLdapState` looks at. */
export const openLdapStateAttributes = ['pwdAccountLockedTime', 'pwdStartTime', 'pwdEndTime', 'shadowExpire'] as const

/** What slapo-ppolicy has for «locked by an administrator». */
const lockedForGood = '000001010000Z'
const dayMs = 86_400_000

/** slapo-ppolicy and, for accounts of Unix, `shadowExpire` (days since 1970; RFC 2307). */
export function openLdapState(entry: LdapEntry, now: number): AccountState {
  const locked = textOf(entry, 'pwdAccountLockedTime')
  if (locked === lockedForGood) return 'disabled'
  const start = timeOf(entry, 'pwdStartTime')
  const end = timeOf(entry, 'pwdEndTime')
  const lastDay = numberOf(entry, 'shadowExpire') ?? -1
  if ((end !== null && end <= now) || (lastDay >= 0 && lastDay * dayMs <= now)) return 'expired'
  if (start !== null && start > now) return 'disabled'
  // Other locks may be over by the policy, which the directory alone knows: it says so when the password is tried.
  return 'open'
}

/** The attributes that `freeIpaState` looks at. */
export const freeIpaStateAttributes = ['nsAccountLock', 'krbPrincipalExpiration', 'krbPasswordExpiration'] as const

/** 389 Directory Server's lock, and Kerberos's times, which a login by LDAP does not look at. */
export function freeIpaState(entry: LdapEntry, now: number): AccountState {
  if (textOf(entry, 'nsAccountLock')?.toUpperCase() === 'TRUE') return 'disabled'
  const end = timeOf(entry, 'krbPrincipalExpiration')
  if (end !== null && end <= now) return 'expired'
  const passwordEnd = timeOf(entry, 'krbPasswordExpiration')
  return passwordEnd !== null && passwordEnd <= now ? 'password-expired' : 'open'
}

/** `null`: the entry does not have it; the first, where it has several. */
function textOf({ attributes }: LdapEntry, name: string): string | null {
  return attributes.get(name.toLowerCase())?.[0]?.toString('utf8') ?? null
}

function numberOf(entry: LdapEntry, name: string): number | null {
  const text = textOf(entry, name)
  return text !== null && /^-?\d{1,15}$/.test(text) ? Number(text) : null
}

function bigOf(entry: LdapEntry, name: string): bigint | null {
  const text = textOf(entry, name)
  return text !== null && /^-?\d{1,20}$/.test(text) ? BigInt(text) : null
}

const timeOf = (entry: LdapEntry, name: string) => {
  const text = textOf(entry, name)
  return text === null ? null : generalizedTime(text)
}

/** RFC 4517, 3.3.13, in UTC, to the second; `null`: it is none. */
export function generalizedTime(text: string): number | null {
  const [, year, month, day, hour, minute = '00', second = '00'] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:[.,]\d+)?)?)?Z$/.exec(text) ?? []
  if (year === undefined) return null
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(time) ? null : time
}
