const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const unitStep = 1024

/** `1610612736` is `1.5 GiB`: at most one digit after the point. */
export function formatSize(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= unitStep && unit < units.length - 1) {
    value /= unitStep
    unit++
  }
  const rounded = Math.round(value * 10) / 10
  return `${Number.isInteger(rounded) ? rounded : rounded.toFixed(1)} ${units[unit]}`
}

const sizePattern = /^(\d+)\s*(?:([KMGTP])(?:iB)?|B)?$/

/**
 * Bytes of `10GiB`, `512M` (the same powers of 1024) or `1048576`; `null` for anything else, decimal units (`10GB`)
 * among it, since they are easily meant either way.
 */
export function parseSize(text: string): number | null {
  const match = sizePattern.exec(text.trim())
  if (match === null) return null
  const power = match[2] === undefined ? 0 : 'KMGTP'.indexOf(match[2]) + 1
  const bytes = Number(match[1]) * unitStep ** power
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** `3723` seconds are `1 h 2 min`: the two largest units. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** An RFC 3339 time as the user's clock shows it, `2026-01-31 14:05:09`; other text stays as it is. */
export function formatTime(text: string): string {
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) return text
  const two = (value: number) => String(value).padStart(2, '0')
  const day = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  return `${day} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`
}
