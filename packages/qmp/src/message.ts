import { type QemuVersion, qemuVersion } from './commands/monitor.ts'
import { QmpError } from './qmp-error.ts'
import { eventOf, type QmpEvent } from './qmp-event.ts'
import { anything, list, number, optional, structure, text } from './shape.ts'

/** What QEMU says first. */
export interface Greeting {
  readonly version: QemuVersion
  /** What may be asked for with `qmp_capabilities`. */
  readonly capabilities: readonly string[]
}

/** A message of QEMU's (docs/interop/qmp-spec). */
export type Message =
  | { readonly kind: 'greeting'; readonly greeting: Greeting }
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'refusal'; readonly id: number; readonly qemuClass: string; readonly description: string }
  | { readonly kind: 'event'; readonly event: QmpEvent }

/** QEMU says −1 where its clock failed. */
const timestamp = structure({ seconds: number, microseconds: number })
const greetingShape = structure({ QMP: structure({ version: qemuVersion, capabilities: list(text) }) })
const resultShape = structure({ id: number, return: anything })
const refusalShape = structure({ id: number, error: structure({ class: text, desc: text }) })
const eventShape = structure({ event: text, data: optional(anything), timestamp })

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Reads one line; `null` for an empty one. Throws QmpError `protocol` for what is no message of QMP. */
export function parseMessage(line: Uint8Array): Message | null {
  let value: unknown
  try {
    const json = decoder.decode(line).trim()
    if (json === '') return null
    value = JSON.parse(json)
  } catch (cause) {
    throw new QmpError('protocol', 'QEMU sent a line that is no JSON', { cause: stripped(cause) })
  }
  return messageOf(value)
}

function messageOf(value: unknown): Message {
  if (fits(greetingShape, value)) return { kind: 'greeting', greeting: value.QMP }
  if (fits(resultShape, value)) return { kind: 'result', id: value.id, result: value.return }
  if (fits(refusalShape, value)) {
    return { kind: 'refusal', id: value.id, qemuClass: value.error.class, description: value.error.desc }
  }
  if (fits(eventShape, value)) {
    const { seconds, microseconds } = value.timestamp
    const atMs = seconds < 0 ? null : seconds * 1000 + Math.trunc(microseconds / 1000)
    return { kind: 'event', event: eventOf(value.event, value.data ?? {}, atMs) }
  }
  throw new QmpError('protocol', 'QEMU sent a line that is neither an answer to a command of ours nor an event')
}

function fits<Value>(
  shape: { problemIn(value: unknown, place: string): string | null; type?: Value },
  value: unknown,
): value is Value {
  return shape.problemIn(value, '') === null
}

/** The parser's error without the text that it quotes. */
function stripped(cause: unknown): unknown {
  return cause instanceof SyntaxError ? new SyntaxError('unexpected JSON') : cause
}
