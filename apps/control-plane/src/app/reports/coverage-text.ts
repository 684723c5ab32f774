import { type CoverageFormat, type CoverageRow, type CoverageTotals, csvRow } from '@cryptvisor/control-plane-api'

/** A report as its beginning, each row, and its end. Every line ends. */
export interface CoverageText {
  readonly contentType: string
  begin(generatedAt: string, totals: CoverageTotals): string
  row(row: CoverageRow, isFirst: boolean): string
  end(): string
}

const columns = [
  ['VM', 'vm'],
  ['VM ID', 'vmId'],
  ['Cluster', 'cluster'],
  ['Host', 'host'],
  ['Part', 'part'],
  ['Size (bytes)', 'sizeBytes'],
  ['Encrypted', 'encrypted'],
  ['Policy', 'policy'],
  ['Compliance', 'compliance'],
  ['Key provider', 'provider'],
  ['Key ID', 'keyId'],
  ['Key age (days)', 'keyAgeDays'],
  ['Key state', 'keyState'],
  ['Last verified', 'lastVerified'],
  ['Lock', 'lock'],
] as const satisfies readonly (readonly [string, keyof CoverageRow])[]

const csv: CoverageText = {
  contentType: 'text/csv; charset=utf-8; header=present',
  begin: () => csvRow(columns.map(([title]) => title)),
  row: (row) => csvRow(columns.map(([, name]) => cellOf(row[name]))),
  end: () => '',
}

const json: CoverageText = {
  contentType: 'application/json; charset=utf-8',
  begin: (generatedAt, totals) =>
    `{"generatedAt":${JSON.stringify(generatedAt)},\n"totals":${JSON.stringify(totals)},\n"rows":[\n`,
  row: (row, isFirst) => `${isFirst ? ' ' : ','}${JSON.stringify(row)}\n`,
  end: () => ']}\n',
}

const style = [
  'body{font:9pt/1.3 sans-serif;margin:1.5em;color:#111}h1{font-size:16pt}',
  'table{border-collapse:collapse;margin:.5em 0}th,td{border:1px solid #bbb;padding:.15em .4em;text-align:left;vertical-align:top;overflow-wrap:anywhere}',
  'thead{display:table-header-group}th{background:#eee}tr.plain td{background:#fde8e8}',
  '@page{size:A4 landscape;margin:12mm}@media print{body{margin:0}tr{break-inside:avoid}}',
].join('')

/** One page without scripts, ready to be printed or made into a PDF. */
const html: CoverageText = {
  contentType: 'text/html; charset=utf-8',
  begin: (generatedAt, totals) => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Encryption coverage ${escaped(generatedAt)}</title>
<style>${style}</style></head><body>
<h1>Encryption coverage</h1><p>${escaped(generatedAt)}</p>
<table><thead><tr><th></th><th>All</th><th>Encrypted</th><th>%</th></tr></thead><tbody>
<tr><td>VMs (${totals.partialVms} in part, ${totals.plainVms} plain)</td><td>${totals.vms}</td><td>${totals.encryptedVms}</td><td>${totals.encryptedVmsPercent}</td></tr>
<tr><td>Disks</td><td>${totals.disks}</td><td>${totals.encryptedDisks}</td><td>${totals.encryptedDisksPercent}</td></tr>
<tr><td>Bytes of disks</td><td>${totals.bytes}</td><td>${totals.encryptedBytes}</td><td>${totals.encryptedBytesPercent}</td></tr>
</tbody></table>
<table><thead><tr>${columns.map(([title]) => `<th>${escaped(title)}</th>`).join('')}</tr></thead><tbody>
`,
  row: (row) =>
    `<tr class="${row.encrypted ? 'encrypted' : 'plain'}">${columns.map(([, name]) => `<td>${escaped(cellOf(row[name]))}</td>`).join('')}</tr>\n`,
  end: () => '</tbody></table>\n</body></html>\n',
}

/** How a report is written. */
export const coverageTexts: Readonly<Record<CoverageFormat, CoverageText>> = { csv, json, html }

function cellOf(value: CoverageRow[keyof CoverageRow]): string {
  if (value === null) return ''
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
