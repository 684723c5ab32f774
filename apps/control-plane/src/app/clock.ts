/** Gives the time in milliseconds since 1970. Passed to whoever reads it, so that a test can set it. */
export type Clock = () => number

/** RFC 3339, UTC, with milliseconds: the form of every time in an answer. */
export const timeText = (ms: number): string => new Date(ms).toISOString()

/** As `timeText`; `null` stays `null`. */
export const timeTextOrNull = (ms: number | null): string | null => (ms === null ? null : timeText(ms))
