/** PEM (RFC 7468) with a line end at its end, so that several can be put together. */
export function pemOf(source: { toString(format: 'pem'): string }): string {
  return `${source.toString('pem').trimEnd()}\n`
}
