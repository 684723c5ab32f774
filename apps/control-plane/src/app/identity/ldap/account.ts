import type { LdapConfig } from '@cryptvisor/control-plane-api'
import type { AccountState } from './account-state.ts'
import { isBelow } from './distinguished-name.ts'
import type { LdapConnection } from './ldap-connection.ts'
import { AccountRefusal, LdapFailure } from './ldap-failure.ts'
import type { LdapEntry } from './ldap-response.ts'
import { type Preset, presetOf } from './preset.ts'
import { both, equal, parseFilter } from './search-filter.ts'

/** A user as a directory has them. */
export interface Account {
  readonly dn: string
  /** Who it is, under whatever name: a UUID, or what the directory has instead. */
  readonly subject: string
  /** All that they are called by, as it is written there. */
  readonly names: readonly string[]
  readonly state: AccountState
  /** DNs of groups, where the user's own entry says them. */
  readonly memberOf: readonly string[]
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const guidSizeBytes = 16

/**
 * The user of that name; `null`: there is none. Throws `AccountRefusal` where there are several, or the entry is not what was
 * asked for; `LdapFailure`.
 */
export async function findByName(
  connection: LdapConnection,
  config: LdapConfig,
  name: string,
  now: number,
): Promise<Account | null> {
  const preset = presetOf(config)
  const account = await find(connection, config, equal(preset.nameAttribute, name), now)
  if (account !== null && !account.names.some((each) => each.toLowerCase() === name.toLowerCase())) {
    throw new AccountRefusal('the entry that it gives for that name has another name')
  }
  return account
}

/** The user who is `subject`, under whatever name; otherwise as `findByName`. */
export async function findBySubject(
  connection: LdapConnection,
  config: LdapConfig,
  subject: string,
  now: number,
): Promise<Account | null> {
  const { attribute, isGuid } = presetOf(config).subject
  const account = await find(connection, config, equal(attribute, isGuid ? guidBytes(subject) : subject), now)
  if (account !== null && account.subject !== subject) {
    throw new AccountRefusal(`the entry that it gives for that ${attribute} has another one`)
  }
  return account
}

async function find(
  connection: LdapConnection,
  config: LdapConfig,
  which: Parameters<typeof both>[1],
  now: number,
): Promise<Account | null> {
  const preset = presetOf(config)
  const users = parseFilter(preset.userFilter)
  if (users === null) throw new LdapFailure('wrong', 'its user filter cannot be read: give it another one')
  const entries = await connection.search({
    base: config.userBase,
    scope: 'sub',
    filter: both(users, which),
    attributes: attributesOf(preset),
    entriesMax: 2,
  })
  const [entry, ...more] = entries
  if (entry === undefined) return null
  if (more.length > 0) throw new AccountRefusal('several entries have that name')
  if (!isBelow(entry.dn, config.userBase)) throw new AccountRefusal('the entry lies elsewhere than it was asked for')
  return accountOf(preset, entry, now)
}

/** What is asked of a user's entry. */
export function attributesOf({ nameAttribute, subject, stateAttributes, groups }: Preset): string[] {
  return [
    nameAttribute,
    subject.attribute,
    ...stateAttributes,
    ...(groups.by === 'member-of' ? [groups.attribute] : []),
  ]
}

/** Reads an entry. Throws `AccountRefusal` where it does not say who it is, or not clearly. */
export function accountOf(preset: Preset, entry: LdapEntry, now: number): Account {
  const { nameAttribute, subject, stateOf, groups } = preset
  const textsOf = (name: string) =>
    (entry.attributes.get(name.toLowerCase()) ?? []).map((value) => value.toString('utf8'))
  return {
    dn: entry.dn,
    subject: subjectOf(subject, entry.attributes.get(subject.attribute.toLowerCase()) ?? []),
    names: textsOf(nameAttribute),
    state: stateOf(entry, now),
    memberOf: groups.by === 'member-of' ? textsOf(groups.attribute) : [],
  }
}

function subjectOf({ attribute, isGuid }: Preset['subject'], values: readonly Buffer[]): string {
  const [value, ...more] = values
  if (value === undefined || more.length > 0) throw new AccountRefusal(`the entry has not exactly one ${attribute}`)
  if (isGuid) {
    if (value.length !== guidSizeBytes) throw new AccountRefusal(`its ${attribute} has not ${guidSizeBytes} bytes`)
    return guidText(value)
  }
  const text = value.toString('utf8')
  if (!uuidForm.test(text)) throw new AccountRefusal(`its ${attribute} is no UUID`)
  return text.toLowerCase()
}

/** As Windows writes it: the first three fields lie there with their bytes turned round ([MS-DTYP] 2.3.4). */
function guidText(bytes: Buffer): string {
  const hex = turned(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

const guidBytes = (text: string) => turned(Buffer.from(text.replaceAll('-', ''), 'hex'))

function turned(bytes: Buffer): Buffer {
  const field = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).reverse()
  return Buffer.concat([field(0, 4), field(4, 6), field(6, 8), bytes.subarray(8)])
}
