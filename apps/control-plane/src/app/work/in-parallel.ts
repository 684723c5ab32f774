/** Runs `act` on each of `items`, at most `concurrencyMax` at once. The first error ends it when the others settled. */
export async function inParallel<Item>(
  items: readonly Item[],
  concurrencyMax: number,
  act: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values()
  const workers = Array.from({ length: Math.min(concurrencyMax, items.length) }, async () => {
    for (const item of queue) await act(item)
  })
  const failed = (await Promise.allSettled(workers)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
