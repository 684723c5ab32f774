import type { OidcConfig } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { ExternalIdentity } from '../external-users.ts'

/** How many groups a provider may name at most. */
export const groupsMax = 2000

const subjectSizeMax = 255
const textSizeMax = 512

/** The claims that give name and groups, by the settings or as usual. */
export function claimNames({ nameClaim = 'preferred_username', groupsClaim = 'groups' }: OidcConfig) {
  return { nameClaim, groupsClaim }
}

/**
 * Who somebody is by claims that the provider vouches for. Throws `not-logged-in` when the claim for the name is missing, or
 * the one for the groups is no list.
 */
export function identityOf(config: OidcConfig, claims: Readonly<Record<string, unknown>>): ExternalIdentity {
  const { nameClaim, groupsClaim } = claimNames(config)
  const { sub } = claims
  const name = claims[nameClaim]
  if (typeof sub !== 'string' || sub === '' || sub.length > subjectSizeMax) {
    throw refused('the provider does not say who you are (claim sub)')
  }
  if (typeof name !== 'string' || name === '' || name.length > textSizeMax) {
    throw refused(
      `the provider does not say your name: there is no claim ${nameClaim}; another scope or claim may have it`,
    )
  }
  return { subject: sub, name, groups: groupsOf(claims[groupsClaim], groupsClaim) }
}

/** One name may come without a list around it. */
function groupsOf(value: unknown, claim: string): string[] {
  if (value === undefined || value === null) return []
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length > groupsMax) throw refused(`the provider names more than ${groupsMax} groups (claim ${claim})`)
  return list.map((each) => {
    if (typeof each !== 'string' || each.length > textSizeMax) throw refused(`the claim ${claim} is no list of names`)
    return each
  })
}

const refused = (message: string) => new ControlPlaneError('not-logged-in', message)
