import assert from 'node:assert/strict'
import type { CreateUser } from '@cryptvisor/control-plane-api'
import { Bearers, type Caller } from '../app/bearers.ts'
import { EventLog } from '../app/events.ts'
import { Groups } from '../app/groups.ts'
import { Folders } from '../app/inventory/folders.ts'
import { Logins } from '../app/login.ts'
import { LoginFailures } from '../app/login-failures.ts'
import { Permissions } from '../app/permissions/permissions.ts'
import { Roles } from '../app/roles.ts'
import { UserSessions } from '../app/user-sessions.ts'
import { Users } from '../app/users.ts'
import { openControlPlaneDatabase } from '../database/open.ts'
import { testSecondFactors } from './test-second-factors.ts'

const password = 'correct horse battery'

/** Users, groups, permissions and folders on a database in memory, with an administrator `admin`. */
export async function openAccessPlane() {
  const database = await openControlPlaneDatabase(':memory:')
  let now = Date.parse('2026-11-24T12:00:00Z')
  const clock = () => now
  const events = new EventLog(database, clock)
  const bearers = new Bearers(database, clock)
  const users = new Users(database, events, clock)
  const secondFactors = await testSecondFactors(database, events, clock)
  const logins = new Logins(database, events, bearers, secondFactors, new LoginFailures(events, clock), clock)
  await users.setAdministrator('admin', password)
  const logIn = async (name = 'admin', tried = password, address = '192.0.2.1', code?: string): Promise<Caller> => {
    const caller = await bearers.authenticate((await logins.logIn(name, tried, address, code)).token)
    assert.ok(caller !== null)
    return caller
  }
  const admin = await logIn()
  return {
    ...{ database, events, bearers, users, secondFactors, logins, logIn, admin, password },
    roles: new Roles(database, events, clock),
    groups: new Groups(database, events, clock),
    permissions: new Permissions(database, events, clock),
    folders: new Folders(database, events, clock),
    sessions: new UserSessions(database, events, clock),
    /** As they are now. */
    again: async (caller: Caller): Promise<Caller> => {
      const found = await bearers.refresh(caller)
      assert.ok(found !== null)
      return found
    },
    addUser: (name: string, role?: string) => {
      const user: CreateUser = { name, password, ...(role === undefined ? {} : { role }) }
      return users.create(user, admin)
    },
    now: clock,
    pass: (ms: number) => {
      now += ms
    },
    [Symbol.asyncDispose]: () => database.destroy(),
  }
}
