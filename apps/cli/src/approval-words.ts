import type { Approval, Impact } from '@cryptvisor/control-plane-api'
import { keyName } from './key-name.ts'
import type { Paint } from './paint.ts'
import { line } from './printable.ts'
import { formatTime } from './quantity.ts'
import { sheet, table } from './table.ts'

/** How many digits of a digest people are shown and give back: 64 bits. */
export const sealSize = 16

/** What whoever approves gives back, to say what they saw. */
export const sealOf = ({ digest }: Approval): string => digest.slice(0, sealSize)

/** What the second user runs: looks at what dies, and approves exactly that. */
export const approvalSteps = (approval: Approval): readonly string[] => [
  `cryptvisor approval show ${approval.id}`,
  `cryptvisor approval approve ${approval.id} --seal ${sealOf(approval)}`,
]

/** A request for approval in full, with everything that dies by it. */
export function approvalSheet(approval: Approval, paint: Paint): string {
  const head = sheet([
    ['ID', approval.id],
    ['what', approval.subject],
    ['state', stateOf(approval, paint)],
    ['asked for by', approval.requestedBy],
    ['reason', approval.reason],
    ['at', formatTime(approval.createdAt)],
    ['until', formatTime(approval.expiresAt)],
    ...(approval.decidedBy === null
      ? []
      : ([
          ['decided by', approval.decidedBy],
          ['decided at', approval.decidedAt === null ? null : formatTime(approval.decidedAt)],
          ['comment', approval.comment],
        ] as const)),
    ...(approval.task === null ? [] : [['task', approval.task] as const]),
    ['seal', sealOf(approval)],
  ])
  return `${head}\n${impactText(approval.impact, approval.state === 'pending', paint)}`
}

/** Requests, one a line. */
export function approvalTable(approvals: readonly Approval[], paint: Paint): string {
  return table(
    ['ID', 'ACTION', 'STATE', 'ASKED FOR BY', 'UNTIL', 'WHAT'],
    approvals.map((approval) => [
      approval.id,
      approval.action,
      stateOf(approval, paint),
      approval.requestedBy,
      formatTime(approval.expiresAt),
      approval.subject,
    ]),
  )
}

function impactText({ keys, users, warnings, hiddenCount = 0 }: Impact, pending: boolean, paint: Paint): string {
  const owners = Map.groupBy(users, ({ owner }) => `${owner.kind === 'vm' ? 'VM' : owner.kind} ${owner.name}`)
  const rows = [...owners].map(([owner, of]) => [
    paint('red', owner),
    of.map(({ name }) => name).join(', '),
    [...new Set(of.map(({ key }) => keyName(key)))].join(', '),
  ])
  const what = pending ? 'would be destroyed' : 'was destroyed'
  const title =
    rows.length + hiddenCount === 0
      ? `Nothing here ${pending ? 'uses' : 'used'} what ${what}.`
      : `What ${pending ? 'dies' : 'died'} by it:`
  const list = rows.length === 0 ? '' : table(['OF', 'PARTS', 'KEY'], rows)
  return [
    line(title),
    list,
    ...(hiddenCount === 0 ? [] : [line(`and ${hiddenCount} that you may not see, so you cannot approve it`)]),
    line(`${keys.length === 1 ? 'Key' : `${keys.length} keys`}: ${keys.map(keyName).join(', ')}`),
    ...warnings.map((warning) => line(`Warning: ${warning}`)),
  ].join('')
}

function stateOf({ state }: Approval, paint: Paint) {
  return state === 'pending' ? paint('yellow', state) : paint(state === 'approved' ? 'red' : 'green', state)
}
