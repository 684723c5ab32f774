/** What a spreadsheet would take for a formula. */
const formula = /^[=+\-@\t\r]/

/**
 * One row as CSV (RFC 4180) with its end, each cell quoted where that is needed; one that a spreadsheet would carry out
 * is marked as text by an apostrophe.
 */
export function csvRow(cells: readonly string[]): string {
  return `${cells.map(cellOf).join(',')}\r\n`
}

function cellOf(text: string): string {
  const safe = formula.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
