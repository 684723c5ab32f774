/** What one user did to the account of another, the last time that they did it; kept when either is gone. */
export interface AccountActRow {
  user_name: string
  by_user: string
  act: AccountAct
  at: number
}

/**
 * `made`, `password`, `second-factor`: whoever did it can log in as that user, or could help it along. `rights`: gave them a
 * role, a permission or a place in a group.
 */
export type AccountAct = 'made' | 'password' | 'second-factor' | 'rights'
