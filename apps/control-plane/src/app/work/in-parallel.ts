/** Runs `act` on each of `items`, at most `concurrencyMax` at once. Throws the first error when all were tried. */
export async function inParallel<Item>(
  items: readonly Item[],
  concurrencyMax: number,
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  const failures: unknown[] = []
  const workers = Array.from({ length: Math.min(concurrencyMax, items.length) }, async () => {
    for (const item of queue) {
      try {
        await act(item)
      } catch (error) {
        failures.push(error)
      }
    }
  })
  await Promise.all(workers)
  if (failures.length > 0) throw failures[0]
}
