import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Figures } from '../figures.ts'
import { type RequiredName, requiredFigures } from './required.ts'

const rowHeight = 30
const barHeight = 18
const labelWidth = 190
const barsWidth = 420
const width = labelWidth + barsWidth + 80
const top = 50

/** What is drawn, as times as fast as the same work of `qemu-img convert`. */
const bars: readonly (readonly [RequiredName, string])[] = [
  ['encrypt-1', 'encrypt, 1 thread'],
  ['encrypt-2', 'encrypt, 2 threads'],
  ['decrypt-1', 'decrypt, 1 thread'],
  ['decrypt-2', 'decrypt, 2 threads'],
  ['rekey-2', 'deep rekey, 2 threads'],
]

const style = `
    text { font: 14px system-ui, sans-serif; fill: #24292f }
    .note { font-size: 12px; fill: #57606a }
    .bar { fill: #0969da }
    .peer { stroke: #57606a; stroke-dasharray: 3 3 }
    .least { stroke: #cf222e; stroke-width: 2 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .note { fill: #9198a1 }
      .bar { fill: #4493f8 }
      .peer { stroke: #9198a1 }
      .least { stroke: #ff7b72 }
    }`

/** Draws the figures as bars into `docs/images/data-path.svg`. */
export function drawChart(figures: Figures): void {
  const folder = fileURLToPath(new URL('../../../docs/images/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}data-path.svg`, chartOf(figures))
}

function chartOf(figures: Figures): string {
  const most = Math.max(...bars.flatMap(([name]) => [figures[name] ?? 0, requiredFigures[name].value]))
  const xOf = (figure: number) => Math.round(labelWidth + (figure / most) * barsWidth)
  const bottom = top + bars.length * rowHeight
  const rows = bars.map(([name, label], row) => {
    const [figure, y] = [figures[name] ?? 0, top + row * rowHeight]
    const [end, least] = [xOf(figure), xOf(requiredFigures[name].value)]
    return `
  <text x="${labelWidth - 12}" y="${y + 14}" text-anchor="end">${label}</text>
  <rect class="bar" x="${labelWidth}" y="${y}" width="${end - labelWidth}" height="${barHeight}"/>
  <line class="least" x1="${least}" x2="${least}" y1="${y - 3}" y2="${y + barHeight + 3}"/>
  <text x="${Math.max(end, least) + 8}" y="${y + 14}">× ${figure}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + 34}" role="img" aria-labelledby="title">
  <title id="title">How many times as fast as qemu-img convert a disk is encrypted, decrypted and re-keyed</title>
  <style>${style}
  </style>
  <text x="12" y="24">Times as fast as qemu-img convert, whole processes, in tmpfs</text>${rows.join('')}
  <line class="peer" x1="${xOf(1)}" x2="${xOf(1)}" y1="${top - 10}" y2="${bottom}"/>
  <text class="note" x="12" y="${bottom + 22}">Dashed: qemu-img convert itself. Red: the least that is asked for. Medians of one run of ./run bench data-path.</text>
</svg>
`
}
