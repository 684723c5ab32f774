/** What the command says by its exit code; scripts depend on these numbers. */
export const exitCodes = {
  ok: 0,
  /** The service said no, or a task failed. */
  refused: 1,
  /** The arguments, a file that they name or the configuration is wrong; nothing was asked of the service. */
  usage: 2,
  /** No whole answer: not reachable, not trusted, not in time, not our protocol. */
  unreachable: 3,
  notLoggedIn: 4,
  /** Ctrl-C, as shells count it: 128 + SIGINT. */
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** The same for people, in the help and in docs/cli.md. */
export const exitCodeTexts: readonly (readonly [ExitCode, string])[] = [
  [exitCodes.ok, 'done'],
  [exitCodes.refused, 'the service refused, or a task failed or was cancelled'],
  [exitCodes.usage, 'wrong arguments, or a file that cannot be used'],
  [exitCodes.unreachable, 'the control plane cannot be reached or is not trusted'],
  [exitCodes.notLoggedIn, 'not logged in, or the session has ended'],
  [exitCodes.interrupted, 'interrupted by Ctrl-C'],
]
