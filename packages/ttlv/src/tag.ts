/** Writes a tag the way the standard does: `0x420078`. */
export function formatTag(tag: number): string {
  return `0x${tag.toString(16).toUpperCase().padStart(6, '0')}`
}
