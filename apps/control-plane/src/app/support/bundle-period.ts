/** How far back support bundles look: the last week. */
export const bundlePeriodMs = 7 * 86_400_000

/** How many events and how many tasks they have at most, the newest. */
export const bundledEventsMax = 5000
export const bundledTasksMax = 2000

/** What was made with a bundle that comes plain, in words, as its client says. */
export const sealingWords = {
  password: 'it goes out plain, and its client says that it seals it to a password',
  recipient: 'it goes out plain, and its client says that it seals it to the keys of recipients',
  none: 'it goes out plain',
} as const
