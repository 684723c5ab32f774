import type { Rehearsal } from '@cryptvisor/control-plane-api'
import { type Call, RestClient, type StreamedAnswer } from '@cryptvisor/rest/client'
import { CliError } from './cli-error.ts'

/** Thrown where a command would have changed something: it ends here, as a success, with what would have happened. */
export class Rehearsed extends Error {
  override readonly name = 'Rehearsed'
  readonly rehearsal: Rehearsal

  constructor(rehearsal: Rehearsal) {
    super('the command was rehearsed')
    this.rehearsal = rehearsal
  }
}

/** For `--dry-run`: reads as ever; the first request that would change something is rehearsed, and ends the command. */
export class RehearsingClient extends RestClient {
  override async call<Answer>(call: Call): Promise<Answer> {
    if (call.method === 'GET') return super.call(call)
    if (call.content !== undefined) throw noDryRun()
    throw new Rehearsed(await super.call<Rehearsal>({ ...call, query: { ...call.query, dryRun: true } }))
  }

  override async stream(call: Call): Promise<StreamedAnswer> {
    if (call.method === 'GET') return super.stream(call)
    throw noDryRun()
  }
}

function noDryRun(): CliError {
  return new CliError('usage', '--dry-run: there is no dry run of this command', { field: '--dry-run' })
}
