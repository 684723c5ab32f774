/**
 * What one user did to the account of another, or to all of an identity source (`@SOURCE`), the last time that they did it; kept
 * when either is gone.
 */
export interface AccountActRow {
  user_name: string
  by_user: string
  act: AccountAct
  at: number
}

/**
 * `made`, `password`, `second-factor`: whoever did it can log in as that user, or could help it along. `rights`: gave them a
 * role, a permission or a place in a group. Of a source: added it, changed its settings, mapped a group of it.
 */
export type AccountAct = 'made' | 'password' | 'second-factor' | 'rights'
