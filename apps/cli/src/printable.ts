const unprintable = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

/**
 * Text from elsewhere (a key server's attributes, an event) as it may go to a terminal: control characters and what
 * reorders a line are written out, so nothing can move the cursor or pretend to be another line.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** The same as one line, with its end. */
export function line(text: string): string {
  return `${printable(text)}\n`
}
