/** Damages exactly one thing in a valid volume, in place; what it gives, if anything, is the volume cut. */
export type Damage = (volume: Buffer) => Buffer | undefined

/** A damage that leaves the volume as long as it is. */
export function inPlace(change: (volume: Buffer) => unknown): Damage {
  return (volume) => {
    change(volume)
    return undefined
  }
}
