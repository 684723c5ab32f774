import { hkdf } from '@cryptvisor/crypto'
import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { InPlaceMove, type Place } from '../data-path/index.ts'
import type { Journal, JournalPart } from './journal.ts'
import { beginCopying } from './start-journal.ts'
import type { Work } from './work.ts'

/** Of 2 MiB each. As many digests as a journal has room for. */
const stepsPerNoteMax = 64

/** A disk that is rewritten on its own device. */
export interface InPlacePart {
  /** As it will be. */
  readonly disk: DiskAuthority
  readonly direction: 'encrypt' | 'decrypt'
  readonly place: Place
  /** All that goes before the encrypted payload. */
  readonly header: Uint8Array
  readonly volumeKey: Secret
  readonly dek: Secret
}

/** A disk on its device, which is open for us alone. */
export interface OpenMove {
  readonly move: InPlaceMove
  /** Of what the next steps move, for the journal. */
  readonly digests: string[]
}

/**
 * Waits for a turn and opens the device of a disk that is to be moved. Where an earlier try began, looks whether what is moved
 * next is what its journal says (DataPathError `source-changed`); else reads all of the disk once, since nobody could go on
 * past what cannot be read. Nothing is written. All goes with `stack`.
 */
export async function openMove(
  work: Work,
  { disk, direction, place, header, volumeKey, dek }: InPlacePart,
  part: JournalPart | undefined,
  stack: AsyncDisposableStack,
): Promise<OpenMove> {
  const { plan, verifies, bulk, signal, task } = work
  stack.use(await bulk.enter(part === undefined ? signal : task.stopping, work.pace))
  const digestKey = stack.use(hkdf(dek, { info: `moved in place ${plan.operationId}`, sizeBytes: 32 }))
  const { doneBytes = 0, digests = [] } = part ?? {}
  const { payloadBytes: sizeBytes } = disk
  const moved = { place, direction, sizeBytes, shiftBytes: header.length, volumeKey, digestKey }
  const move = stack.use(
    await InPlaceMove.open({ ...moved, verifies, stepsPerNote: stepsPerNoteOf(work) }, { doneBytes, digests }),
  )
  const reads = `reading disk ${disk.number} through`
  if (part === undefined && verifies) await readThrough(work, move, reads)
  else if (verifies) work.progress.advance(reads, sizeBytes)
  return { move, digests: await move.look() }
}

/** As many as the journal has room for, and fewer where little is to be looked at again after a crash. */
function stepsPerNoteOf({ checkpointBytes, lanes }: Work): number {
  return Math.max(1, Math.min(stepsPerNoteMax, Math.floor(checkpointBytes / lanes.chunkBytes)))
}

async function readThrough({ pace, signal, progress }: Work, move: InPlaceMove, reads: string): Promise<void> {
  progress.begin(reads)
  let before = 0
  await move.readThrough(async (readBytes) => {
    progress.advance(reads, readBytes)
    await pace.awaitTurn(readBytes - before, () => signal.aborted)
    signal.throwIfAborted()
    before = readBytes
  })
}

/**
 * Moves a disk to where it is to lie, from where the journal says that it stands. Until data move, what fails or is cancelled
 * rejects, and all is as it was. From then on nothing leads back: it is done again until it works, a cancel comes too late, and
 * this rejects with AgentError `stopping` alone.
 */
export async function moveInPlace(work: Work, journal: Journal, move: InPlaceMove, part: InPlacePart): Promise<void> {
  const { layerId, number } = part.disk
  const { state } = journal.part(layerId)
  const { task, progress } = work
  const moves = `${part.direction}ing disk ${number} in place`
  progress.begin(moves)
  progress.advance(moves, move.doneBytes)
  if (state === 'verified') return
  if (state === 'waiting') await begin(work, journal, layerId)
  progress.restartRate()
  await moveAll(work, journal, move, layerId, moves)
  if (part.direction === 'encrypt') {
    await task.insist(`writing the header of disk ${number}`, () => move.writeHeader(part.header))
  }
  await task.insist(moves, () => journal.note(layerId, 'verified', move.doneBytes))
}

/**
 * Says that data are about to move. Where that fails, the journal says again that none have. A cancel counts in a first try
 * alone: the journal of an earlier one may be an old one that somebody put back.
 */
async function begin({ resumed, signal, task }: Work, journal: Journal, layerId: string): Promise<void> {
  const { digests } = journal.part(layerId)
  await beginCopying(journal)
  if (resumed === null) signal.throwIfAborted()
  try {
    await journal.note(layerId, 'copying', 0, digests)
  } catch (error) {
    await task.insist('undoing', () => journal.note(layerId, 'waiting', 0, digests))
    throw error
  }
}

async function moveAll(
  { signal, task, progress, pace }: Work,
  journal: Journal,
  move: InPlaceMove,
  layerId: string,
  moves: string,
): Promise<void> {
  const stopped = () => task.stopping.aborted
  while (!move.done) {
    await pace.awaitTurn(move.nextBytes, stopped)
    if (stopped()) throw new AgentError('stopping', `${moves}: not done before the agent stopped`)
    const step = signal.aborted ? `${moves}; a cancel comes too late, since data have moved` : moves
    await task.insist(step, () =>
      move.step((doneBytes, digests) => journal.note(layerId, 'copying', doneBytes, digests)),
    )
    progress.advance(moves, move.doneBytes)
  }
  // There is no next step any more.
  if (journal.part(layerId).state === 'copying') {
    await task.insist(moves, () => journal.note(layerId, 'copied', move.doneBytes))
  }
}
