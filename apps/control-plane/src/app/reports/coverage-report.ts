import type { CoverageFormat } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { type Clock, timeText } from '../clock.ts'
import type { Scope } from '../permissions/scope.ts'
import { coverageRows } from './coverage-rows.ts'
import { coverageTexts } from './coverage-text.ts'
import { coverageTotals } from './coverage-totals.ts'

/**
 * Which part of which VM is protected by which key, as text that comes piece by piece; of the VMs in `scope` alone, rows and
 * totals. The totals are those of its
 * beginning; each page of VMs is as it is when it is read.
 */
export async function* coverageReport(
  database: Kysely<Schema>,
  clock: Clock,
  format: CoverageFormat,
  scope: Pick<Scope, 'everywhere' | 'vmIds'>,
): AsyncGenerator<string> {
  const text = coverageTexts[format]
  yield text.begin(timeText(clock()), await coverageTotals(database, scope))
  let isFirst = true
  for await (const rows of coverageRows(database, clock, scope)) {
    yield rows
      .map((row) => {
        const written = text.row(row, isFirst)
        isFirst = false
        return written
      })
      .join('')
  }
  yield text.end()
}
