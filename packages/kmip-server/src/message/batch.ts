import type { BatchErrorContinuationOption, RequestBatchItem, ResponseBatchItem } from '@cryptvisor/kmip'
import type { AuditRecord } from '../audit-record.ts'
import type { ObjectStore } from '../object/object-store.ts'
import type { MessageContext } from '../operation/operation-context.ts'
import type { EventSink } from '../server-event.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { BatchItemRunner, headOf, type ItemFailure, nameOf } from './batch-item-runner.ts'
import { recordOf } from './message-record.ts'

/** Carries out the items of a message, always in their order (KMIP 1.4, 6.13 and 6.12). */
export class Batch {
  readonly #store: ObjectStore
  readonly #message: MessageContext
  readonly #writer: AnswerWriter
  readonly #runner: BatchItemRunner
  readonly #emit: EventSink

  constructor(store: ObjectStore, message: MessageContext, writer: AnswerWriter, emit: EventSink) {
    this.#store = store
    this.#message = message
    this.#writer = writer
    this.#runner = new BatchItemRunner(message, writer, emit)
    this.#emit = emit
  }

  /** Carries them out and adds their answers to the writer. What is answered as a success is on stable storage. */
  async run(items: readonly RequestBatchItem[], option: BatchErrorContinuationOption): Promise<void> {
    if (option === 'Undo' && items.length > 1) return this.#runAllOrNone(items)
    for (const item of items) {
      const failure = await this.#runAlone(item)
      if (failure === null) continue
      await this.#append([failure.record])
      this.#writer.addFailure(failure.answer)
      if (option !== 'Continue') return
    }
  }

  /** Each item has a transaction of its own. `null` when it is committed. */
  async #runAlone(item: RequestBatchItem): Promise<ItemFailure | null> {
    const { itemCount } = this.#writer
    try {
      await this.#store.transaction((transaction) => this.#runner.run(item, transaction))
      return null
    } catch (error) {
      this.#writer.wipe(itemCount)
      return this.#runner.failure(item, error)
    }
  }

  /** All items are one transaction; when one fails, those before it are answered as undone (KMIP 1.4, 6.13). */
  async #runAllOrNone(items: readonly RequestBatchItem[]): Promise<void> {
    let current: RequestBatchItem | undefined
    const done: RequestBatchItem[] = []
    try {
      await this.#store.transaction(async (transaction) => {
        for (current of items) {
          await this.#runner.run(current, transaction)
          done.push(current)
        }
      })
    } catch (error) {
      this.#writer.wipe(0)
      await this.#answerUndone(done, current, error)
    }
  }

  /** Where the commit itself failed, the last item stands for the failure. */
  async #answerUndone(done: readonly RequestBatchItem[], failed: RequestBatchItem | undefined, error: unknown) {
    const undone = done.filter((item) => item !== failed)
    for (const item of undone) {
      // A status and what is repeated of the request are an answer to any operation.
      this.#writer.addFailure({ ...headOf(item), resultStatus: 'OperationUndone' } as ResponseBatchItem)
    }
    const records = undone.map((item) => recordOf(this.#message, nameOf(item), null, 'OperationUndone', null))
    if (failed !== undefined) {
      const failure = this.#runner.failure(failed, error)
      this.#writer.addFailure(failure.answer)
      records.push(failure.record)
    }
    await this.#append(records)
  }

  /** The audit of what failed; it gave nothing out, so it is answered even when this cannot be written. */
  async #append(records: readonly AuditRecord[]): Promise<void> {
    try {
      await this.#store.transaction(async (transaction) => {
        for (const record of records) await transaction.append(record)
      })
    } catch (error) {
      this.#emit({ kind: 'internal-error', client: this.#message.client.name, doing: 'audit of a failure', error })
    }
  }
}
