import type { Rehearsal } from '@cryptvisor/control-plane-api'
import { line } from './printable.ts'

/** What a dry run found out, for people. */
export function rehearsalWords({ effects }: Rehearsal): string {
  if (effects.length === 0) return line('dry run: it would be accepted; nothing was changed')
  const told = effects.map(({ kind, text, lines }) =>
    [kind === 'task' ? `begin ${text}:` : `record: ${text}`, ...lines.map((step) => `  ${step}`)]
      .map((part, index) => line(index === 0 ? `  ${part}` : `    ${part}`))
      .join(''),
  )
  return `${line('dry run: nothing was changed. It would:')}${told.join('')}`
}
