import type { Task } from '@cryptvisor/control-plane-api'
import { SingleBar } from 'cli-progress'
import { printable } from './printable.ts'
import { formatDuration, formatSize } from './quantity.ts'
import type { Surroundings } from './surroundings.ts'

/** How far a piece of work is. */
export interface Progress {
  /** In words. */
  readonly step: string
  readonly doneBytes: number
  readonly totalBytes: number
  readonly percent: number
  readonly bytesPerSecond: number | null
  readonly secondsLeft: number | null
}

/** Shows progress on standard error. Dispose of it to clean the line up. */
export interface ProgressDisplay extends Disposable {
  update(progress: Progress): void
}

/** Between two lines where there is no terminal to draw on, in milliseconds. */
const lineIntervalMs = 5000

/** A bar on a terminal; else a line now and then when `verbose`; else nothing. */
export function progressDisplay({ stderr, now }: Surroundings, verbose: boolean): ProgressDisplay {
  if (stderr.isTTY === true) return barDisplay(stderr)
  return verbose ? lineDisplay((line) => stderr.write(line), now) : silentDisplay
}

/** Shows how far a transfer of ours is, which begins now; gives what is to be told of each piece. */
export function transferDisplay(
  { now }: Surroundings,
  display: ProgressDisplay,
  step: string,
  totalBytes: number,
): (doneBytes: number) => void {
  const startedMs = now()
  return (doneBytes) => {
    const seconds = (now() - startedMs) / 1000
    const bytesPerSecond = seconds > 0 ? doneBytes / seconds : null
    const secondsLeft = bytesPerSecond === null ? null : (totalBytes - doneBytes) / bytesPerSecond
    const percent = (doneBytes / totalBytes) * 100
    display.update({ step, doneBytes, totalBytes, percent, bytesPerSecond, secondsLeft })
  }
}

/** What a task says about itself. */
export function progressOf(task: Task): Progress {
  return {
    step: task.paused ? 'paused' : task.step === '' ? task.state : task.step,
    doneBytes: task.doneBytes,
    totalBytes: task.totalBytes,
    percent: task.progressPercent,
    bytesPerSecond: task.rateBytesPerSecond,
    secondsLeft: task.secondsLeft,
  }
}

function barDisplay(stream: NodeJS.WritableStream): ProgressDisplay {
  const bar = new SingleBar({
    stream,
    format: '[{bar}] {percentage}% {text}',
    barsize: 24,
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    clearOnComplete: true,
  })
  let started = false
  return {
    update: (progress) => {
      const payload = { text: wordsOf(progress) }
      const percent = Math.floor(progress.percent)
      if (started) bar.update(percent, payload)
      else bar.start(100, percent, payload)
      started = true
    },
    [Symbol.dispose]: () => {
      if (started) bar.stop()
    },
  }
}

function lineDisplay(write: (line: string) => void, now: () => number): ProgressDisplay {
  let last: { readonly step: string; readonly atMs: number } | null = null
  return {
    update: (progress) => {
      const atMs = now()
      if (last !== null && last.step === progress.step && atMs - last.atMs < lineIntervalMs) return
      last = { step: progress.step, atMs }
      write(`${Math.floor(progress.percent)}% ${wordsOf(progress)}\n`)
    },
    [Symbol.dispose]: () => {},
  }
}

const silentDisplay: ProgressDisplay = { update: () => {}, [Symbol.dispose]: () => {} }

function wordsOf({ step, doneBytes, totalBytes, bytesPerSecond, secondsLeft }: Progress): string {
  return [
    printable(step),
    totalBytes > 0 ? `${formatSize(doneBytes)} of ${formatSize(totalBytes)}` : '',
    bytesPerSecond === null ? '' : `${formatSize(bytesPerSecond)}/s`,
    secondsLeft === null ? '' : `${formatDuration(secondsLeft)} left`,
  ]
    .filter((word) => word !== '')
    .join(', ')
}
