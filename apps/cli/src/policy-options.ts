import {
  type ChangeStoragePolicy,
  graceMinutesMax,
  type OnRevocation,
  rotationDaysMax,
} from '@cryptvisor/control-plane-api'
import { InvalidArgumentError, Option } from 'commander'
import { wholeNumber } from './arguments.ts'
import type { CliCommand } from './command.ts'

/** The word that takes a rule away that has a value. */
const never = 'never'
const byDefault = 'default'

/** The rules of a storage policy as options say them. */
export interface PolicyRuleOptions {
  readonly description?: string
  readonly encrypt?: boolean
  readonly keyProvider?: string
  readonly thin?: boolean
  readonly verify?: boolean
  readonly rotateAfter?: number | typeof never
  readonly onRevocation?: OnRevocation
  readonly grace?: number
  readonly hardened?: boolean
}

const onRevocations: readonly OnRevocation[] = ['keep-running', 'stop', 'stop-after-grace']

/** Adds an option for each rule; what is not given stays as it is. */
export function addPolicyRuleOptions(command: CliCommand): CliCommand {
  return command
    .option('--description <text>', 'what it is for')
    .option('--encrypt', 'what it is applied to is encrypted')
    .option('--no-encrypt', 'what it is applied to is plain')
    .option('--key-provider <name>', `who makes the keys; «${byDefault}»: whichever key provider is the default`)
    .option('--thin', 'raw disks become qcow2 when they are encrypted: zeros take no room')
    .option('--no-thin', 'disks keep their format')
    .option('--verify', 'all that is written has to be read back; nobody can do without')
    .option('--no-verify', 'whoever starts a task may do without reading back')
    .option('--rotate-after <days>', `age at which a key is due for another one; «${never}»: none is`, daysOrNever)
    .addOption(
      new Option(
        '--on-revocation <rule>',
        'what becomes of a VM whose key is revoked or gone: it goes on, with an alarm; or is stopped, at once or after a grace',
      ).choices(onRevocations),
    )
    .option(
      '--grace <minutes>',
      'how long a VM goes on, with --on-revocation stop-after-grace',
      wholeNumber(1, graceMinutesMax),
    )
    .option(
      '--hardened',
      'hardened mode: kept and shown; it has no effect before VMs run, so no VM complies with it yet',
    )
    .option('--no-hardened', 'no hardened mode')
}

/** What of the options is said, for the API. */
export function policyRulesOf(options: PolicyRuleOptions): ChangeStoragePolicy {
  const { description, encrypt, keyProvider, thin, verify, rotateAfter, onRevocation, grace, hardened } = options
  return {
    ...(description === undefined ? {} : { description }),
    ...(encrypt === undefined ? {} : { encryption: encrypt }),
    ...(keyProvider === undefined ? {} : { keyProvider: keyProvider === byDefault ? null : keyProvider }),
    ...(thin === undefined ? {} : { thin }),
    ...(verify === undefined ? {} : { verify }),
    ...(rotateAfter === undefined ? {} : { rotationDays: rotateAfter === never ? null : rotateAfter }),
    ...(onRevocation === undefined ? {} : { onRevocation }),
    ...(grace === undefined ? {} : { graceMinutes: grace }),
    ...(hardened === undefined ? {} : { hardened }),
  }
}

function daysOrNever(text: string): number | typeof never {
  if (text === never) return never
  try {
    return wholeNumber(1, rotationDaysMax)(text)
  } catch {
    throw new InvalidArgumentError(`give a whole number of days from 1 to ${rotationDaysMax}, or «${never}»`)
  }
}
