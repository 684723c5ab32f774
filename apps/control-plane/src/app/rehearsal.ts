import type { Rehearsal } from '@cryptvisor/control-plane-api'
import { currentRehearsal, type Rehearsal as Running, rehearse } from '@cryptvisor/sqlite'
import type { Kysely } from 'kysely'
import type { Schema } from '../database/schema.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import { inParallel } from './work/in-parallel.ts'

/** Something that would have happened. */
export type Effect = Rehearsal['effects'][number]

/** Nobody else gets at the database meanwhile. */
const rehearsalMsMax = 10_000

/** How often a dry run begins anew with what it was told outside. */
const passesMax = 20

/** How many questions are asked at once. */
const questionsAtOnceMax = 8

/** What one pass of a dry run knows and finds. */
interface Pass {
  readonly effects: Effect[]
  /** What was answered outside, by question. */
  readonly answers: ReadonlyMap<string, PromiseSettledResult<unknown>>
  /** What has to be asked before the dry run can come to its end. */
  readonly questions: Map<string, () => Promise<unknown>>
}

const passes = new WeakMap<Running, Pass>()

/** Ends a pass that needs an answer from outside. */
class Unanswered extends Error {}

/**
 * Whether the caller runs within a dry run: what it writes into the database is taken back, so it does nothing outside
 * of the database either: no task is carried out, no host and no key server is asked for a change.
 */
export function isRehearsed(): boolean {
  return currentRehearsal() !== undefined
}

/**
 * Asks something that lies outside the database, such as a key server, for what `question` names. Within a dry run, which
 * holds the database, this ends the dry run; the question is asked when the database is free again, and the dry run begins
 * anew, with the answer. So `ask` changes nothing, and does not depend on what the dry run wrote.
 */
export async function askOutside<Answer>(question: string, ask: () => Promise<Answer>): Promise<Answer> {
  const rehearsal = currentRehearsal()
  const pass = rehearsal === undefined ? undefined : passes.get(rehearsal)
  if (pass === undefined) return ask()
  const answer = pass.answers.get(question)
  if (answer === undefined) {
    pass.questions.set(question, ask)
    throw new Unanswered(`the dry run has to ask: ${question}`)
  }
  if (answer.status === 'rejected') throw answer.reason
  // What this very question was answered before.
  return answer.value as Answer
}

/** Tells whoever asked for the dry run of something that would have happened; outside of one it does nothing. */
export function noteEffect(effect: Effect): void {
  const rehearsal = currentRehearsal()
  if (rehearsal !== undefined) passes.get(rehearsal)?.effects.push(effect)
}

/** Does `work` as a dry run; what would have happened comes into `effects`. Throws what `work` throws, and `too-busy`. */
export async function rehearseRequest<Result>(
  database: Kysely<Schema>,
  effects: Effect[],
  work: () => Promise<Result>,
): Promise<Result> {
  const answers = new Map<string, PromiseSettledResult<unknown>>()
  for (let count = 0; count < passesMax; count++) {
    // They are read while `work` sends its answer, so they are written where they are read.
    effects.length = 0
    const pass: Pass = { effects, answers, questions: new Map() }
    const [outcome] = await Promise.allSettled([rehearseOnce(database, pass, work)])
    // Whoever was not answered may have made something else of it: what comes of a pass with questions does not count.
    if (pass.questions.size === 0) {
      if (outcome.status === 'rejected') throw outcome.reason
      return outcome.value
    }
    await inParallel([...pass.questions], questionsAtOnceMax, async ([question, ask]) => {
      const [answer] = await Promise.allSettled([ask()])
      answers.set(question, answer)
    })
  }
  throw tooLong()
}

function rehearseOnce<Result>(database: Kysely<Schema>, pass: Pass, work: () => Promise<Result>): Promise<Result> {
  const noted = async () => {
    const rehearsal = currentRehearsal()
    if (rehearsal === undefined) throw new Error('the dry run did not begin')
    passes.set(rehearsal, pass)
    return work()
  }
  return rehearse(database, noted, rehearsalMsMax, tooLong)
}

const tooLong = () =>
  new ControlPlaneError('too-busy', 'the dry run took too long and was given up; nothing was changed: try again')
