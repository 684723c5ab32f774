import { type Campaign, type CampaignReport, type CampaignSelection, csvRow } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { type PlanOptions, planOf, planOptions } from '../campaign-plan.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { keyName } from '../key-name.ts'
import { line } from '../printable.ts'
import { formatDuration, formatSize, formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

/** `campaign`: new keys for many VMs. */
export function addCampaign(program: CliCommand, cli: Cli): void {
  const campaign = program
    .command('campaign')
    .description(
      'rekey campaigns: new keys for many VMs, within limits, at times; a restart in the middle loses nothing',
    )
  planOptions(campaign.command('add'))
    .description('make a rekey campaign; without --at and --cron it begins at once')
    .argument('<name>', 'what to call it')
    .examples(
      'campaign add q4 --older-than 365 --per-host 2',
      'campaign add rotation --rotation-due --cron "0 1 * * *" --window "mon-fri 22:00-05:00" --time-zone Europe/Berlin',
      'campaign add away --from-provider old-kms --key-provider new-kms',
      'campaign add stolen-host --exposed --deep --limit 200MiB/s',
    )
    .action((name: string, options: PlanOptions) =>
      cli.showAnswer(
        (client) => client.createCampaign({ name, plan: planOf(options) }),
        (each) => campaignSheet(each),
      ),
    )
  planOptions(campaign.command('preview'))
    .description('show which VMs such a campaign would rekey now, how much data that moves, and what speaks against it')
    .action((options: PlanOptions) =>
      cli.showAnswer(
        (client) => client.previewCampaign(planOf(options)),
        ({ vms, hiddenCount, totalBytes, secondsEstimated }) =>
          table(
            ['VM', 'HOST', 'KEY AGE', 'DATA', 'KEYS', 'PROBLEM'],
            vms.map(({ vm, host, keyAgeDays, bytes, keys, problem }) => [
              vm,
              host,
              keyAgeDays === null ? null : `${keyAgeDays} d`,
              formatSize(bytes),
              keys.map((key) => keyName(key)).join(' '),
              problem,
            ]),
          ) +
          line(
            `${vms.length} VMs${hiddenCount === 0 ? '' : ` and ${hiddenCount} that you may not see`}, ${vms.filter(({ problem }) => problem !== null).length} with a problem; ${formatSize(totalBytes)} to move${secondsEstimated === null ? '' : `, about ${formatDuration(secondsEstimated)}`}`,
          ),
      ),
    )
  campaign
    .command('list')
    .description('list the campaigns, by name')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.campaigns()).campaigns,
        (campaigns) =>
          table(
            ['NAME', 'KIND', 'STATE', 'DONE', 'FAILED', 'LEFT', 'NEXT RUN', 'WAITS FOR'],
            campaigns.map((each) => [
              each.name,
              each.plan.depth,
              stateOf(each),
              each.lastRun?.counts.done ?? null,
              each.lastRun?.counts.failed ?? null,
              each.lastRun === null ? null : each.lastRun.counts.pending + each.lastRun.counts.running,
              each.nextRunAt === null ? null : formatTime(each.nextRunAt),
              each.lastRun?.waitsFor ?? null,
            ]),
          ),
      ),
    )
  campaign
    .command('show')
    .description('show one campaign')
    .argument('<name>', 'its name')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.campaign(name),
        (each) => campaignSheet(each),
      ),
    )
  for (const [verb, description] of [
    ['start', 'begin a run now, whatever the schedule says'],
    ['pause', 'begin nothing more until it is resumed; what is being rekeyed comes to its end'],
    ['resume', 'go on with a paused campaign'],
  ] as const) {
    campaign
      .command(verb)
      .description(description)
      .argument('<name>', 'its name')
      .action((name: string) =>
        cli.showAnswer(
          (client) => client.steerCampaign(name, verb),
          (each) => campaignSheet(each),
        ),
      )
  }
  campaign
    .command('cancel')
    .description('end the run that is under way: what was not begun is left out')
    .argument('<name>', 'its name')
    .option('--tasks', 'cancel what is being rekeyed, too; those VMs are then as they were')
    .action((name: string, { tasks }: { tasks?: boolean }) =>
      cli.showAnswer(
        (client) => client.cancelCampaign(name, tasks === true ? { tasks } : {}),
        (each) => campaignSheet(each),
      ),
    )
  campaign
    .command('report')
    .description('tell what became of each VM of a run: which keys, what failed and why, what is left')
    .argument('<name>', 'its name')
    .option('--run <n>', 'the run with this number (the last one, when it is left out)', wholeNumber(1, 1_000_000))
    .addOption(new Option('--format <format>', 'how to print it').choices(['table', 'csv']).default('table'))
    .examples('campaign report q4', 'campaign report q4 --run 2 --format csv', 'campaign report q4 --json')
    .action((name: string, { run, format }: { run?: number; format: string }) =>
      cli.showAnswer(
        (client) => client.campaignReport(name, run),
        (report) => (format === 'csv' ? reportCells(report).map(csvRow).join('') : reportTable(report)),
      ),
    )
  campaign
    .command('remove')
    .description('remove a campaign with the reports of its runs')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('campaign', name, (client) => client.removeCampaign(name)))
}

function stateOf({ paused, lastRun, nextRunAt }: Campaign): string {
  if (lastRun?.state === 'running') return paused ? 'paused' : lastRun.waitsFor === null ? 'running' : 'waiting'
  if (paused) return 'paused'
  return nextRunAt === null ? (lastRun?.state ?? 'to be started') : 'scheduled'
}

/** Whatever is chosen by, each in the words of its option; a VM has to be all of it. */
function selectionText(selection: CampaignSelection): string {
  const { vms, policy, keyProvider, cluster, olderThanDays, rotationDue, exposed } = selection
  const words = [
    ...(vms === undefined ? [] : [vms.join(', ')]),
    ...(policy === undefined ? [] : [`policy «${policy}»`]),
    ...(keyProvider === undefined ? [] : [`keys of ${keyProvider}`]),
    ...(cluster === undefined ? [] : [`cluster ${cluster}`]),
    ...(olderThanDays === undefined ? [] : [`a key of at least ${olderThanDays} days`]),
    ...(rotationDue === true ? ['a key older than its policy says'] : []),
    ...(exposed === true ? ['a key that a host which left may hold'] : []),
  ]
  return words.length === 0 ? 'all encrypted VMs' : words.join('; ')
}

function campaignSheet(each: Campaign): string {
  const { plan, lastRun } = each
  const counts = lastRun?.counts
  return sheet([
    ['name', each.name],
    ['state', stateOf(each)],
    ['waits for', lastRun?.waitsFor ?? null],
    ['chooses', selectionText(plan.selection)],
    ['kind', plan.depth],
    ['new keys from', plan.keyProvider ?? 'each VM’s present key provider'],
    ['at once', `${plan.atOnceMax ?? 8}, ${plan.perHostMax ?? 2} on one host`],
    ['schedule', plan.cron ?? plan.startAt ?? null],
    [
      'window',
      plan.window === undefined ? null : `${plan.window.days.join(',')} ${plan.window.from}-${plan.window.until}`,
    ],
    ['time zone', plan.timeZone ?? null],
    ['next run', each.nextRunAt === null ? null : formatTime(each.nextRunAt)],
    [
      'last run',
      lastRun === null ? null : `${lastRun.number}, ${lastRun.state}, began ${formatTime(lastRun.startedAt)}`,
    ],
    [
      'VMs',
      counts === undefined
        ? null
        : `${counts.done} done, ${counts.running} at work, ${counts.pending} to come, ${counts.failed} failed, ${counts.skipped} left out`,
    ],
    ['made by', `${each.createdBy}, ${formatTime(each.createdAt)}`],
  ])
}

const reportHead = ['VM', 'STATE', 'TRIES', 'OLD KEYS', 'NEW KEY', 'TASK', 'WHY']

function reportCells({ items }: CampaignReport): string[][] {
  const rows = items.map(({ vm, state, tries, oldKeys, newKey, task, text }) => [
    vm,
    state,
    String(tries),
    oldKeys.map((key) => keyName(key)).join(' '),
    keyName(newKey) ?? '',
    task ?? '',
    text,
  ])
  return [reportHead, ...rows]
}

function reportTable(report: CampaignReport): string {
  const { counts, number, state, startedBy, startedAt, endedAt } = report.run
  const [, ...rows] = reportCells(report)
  const told = `run ${number} of ${report.campaign}: ${state}; begun by ${startedBy} ${formatTime(startedAt)}${endedAt === null ? '' : `, ended ${formatTime(endedAt)}`}`
  const summary = `${counts.done} done, ${counts.failed} failed, ${counts.skipped} left out, ${counts.pending + counts.running} to come`
  return line(told) + line(summary) + table(reportHead, rows)
}
