import type { Kysely } from 'kysely'
import type { AccountActRow } from '../../database/account-act-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { timeText } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { sourceOf } from '../identity/external-users.ts'
import { sourceAccountsOf } from '../permissions/account-acts.ts'
import { readInstallation } from '../system/installation.ts'

const dayMs = 86_400_000

/** How long before a request nobody may have set up the account of whoever approves it. */
export const accountActDays = 7

/** How long after its beginning a new installation's accounts are set up, by the one person who is there. */
const settingUpMs = dayMs

/** A request and whoever is about to approve it. */
export interface Deciding {
  readonly requestedBy: string
  /** Milliseconds since 1970. */
  readonly requestedAt: number
  readonly approvedBy: string
  /** Now, as `requestedAt`. */
  readonly now: number
}

/**
 * Throws `no-privilege` when one person could be behind both users: one who set the password of the other, took their second
 * factor off, made their account, or set up the identity source that says who they are, or somebody who did so to both; also when
 * whoever asked gave the approver their rights.
 * What counts is what happened since the request, and in the days before it; but not what the first administrator did while
 * the installation was set up. Two accounts that one person was given cannot be told from two people.
 */
export async function requireTwoPeople(database: Kysely<Schema>, deciding: Deciding): Promise<void> {
  const { requestedBy, requestedAt, approvedBy, now } = deciding
  const setUpAt = beginningOf(await readInstallation(database)) + settingUpMs
  const settled = Math.min(setUpAt, requestedAt)
  const since = Math.max(requestedAt - accountActDays * dayMs, settled)
  const acts = await database.selectFrom('account_act').selectAll().where('at', '>=', since).orderBy('at').execute()
  const why = oneHand(acts, requestedBy, approvedBy)
  if (why === null) return
  const again = Math.max(...why.map(({ at }) => at)) + accountActDays * dayMs
  const later =
    now < setUpAt
      ? `Or withdraw the request and ask anew: until ${timeText(setUpAt)}, while this installation is set up, only what is done after a request counts`
      : `What is asked for after ${timeText(again)} ${approvedBy} can approve again${(await sourceOf(database, approvedBy)) === null ? '; sooner, once whoever has the machine has given them a new password there («control-plane recover-admin»)' : ''}`
  throw new ControlPlaneError(
    'no-privilege',
    `${approvedBy} cannot approve what ${requestedBy} asked for, since one person could be both: ${why.map(actText).join(', ')}. Have another user approve it, one with whose account none of them had to do. ${later}`,
  )
}

/** The acts by which one person could be both users; `null`: there are none. */
export function oneHand(
  acts: readonly AccountActRow[],
  requester: string,
  approver: string,
): readonly AccountActRow[] | null {
  const behindRequester = whoCouldBe(acts, requester)
  const behindApprover = whoCouldBe(acts, approver)
  for (const [user, how] of behindApprover) {
    const other = behindRequester.get(user)
    if (other !== undefined) return [...new Set([...other, ...how])]
  }
  const given = acts.find(
    ({ user_name, by_user, act }) => act === 'rights' && isSame(by_user, requester) && isOf(user_name, approver),
  )
  return given === undefined ? null : [given]
}

/** Everybody who could log in as `user`, with the acts by which; themselves by none. */
function whoCouldBe(acts: readonly AccountActRow[], user: string): ReadonlyMap<string, readonly AccountActRow[]> {
  const byAccount = Map.groupBy(
    acts.filter(({ act }) => act !== 'rights'),
    ({ user_name }) => user_name.toLowerCase(),
  )
  const found = new Map<string, readonly AccountActRow[]>([[user.toLowerCase(), []]])
  // What is added while it is gone through is gone through too.
  for (const [account, how] of found) {
    const source = sourceAccountsOf(account)
    const toSource = source === null ? [] : (byAccount.get(source) ?? [])
    for (const act of [...(byAccount.get(account) ?? []), ...toSource]) {
      const by = act.by_user.toLowerCase()
      if (!found.has(by)) found.set(by, [...how, act])
    }
  }
  return found
}

const isSame = (one: string, other: string) => one.toLowerCase() === other.toLowerCase()

/** Whether what was done to an account, or to all of a source, was done to that of `user`. */
const isOf = (account: string, user: string) => isSame(account, user) || account === sourceAccountsOf(user)

function actText({ user_name, by_user, act, at }: AccountActRow): string {
  const what = user_name.startsWith('@')
    ? `${sourceWords[act]} the identity source ${user_name.slice(1)}`
    : `${words[act]} ${user_name}`
  return `${by_user} ${what} at ${timeText(at)}`
}

const words = {
  made: 'made the account of',
  password: 'set the password of',
  'second-factor': 'reset the second factor of',
  rights: 'gave rights to',
} as const

/** Of all accounts of a source. */
const sourceWords = {
  made: 'added',
  password: 'changed the settings of',
  'second-factor': 'changed',
  rights: 'gave rights to groups of',
} as const

/** When the installation was named: its ID is a UUID version 7 (RFC 9562, 5.7), which begins with the milliseconds since 1970. */
function beginningOf({ installation_id }: { readonly installation_id: string }): number {
  return Number.parseInt(installation_id.replaceAll('-', '').slice(0, 12), 16)
}
