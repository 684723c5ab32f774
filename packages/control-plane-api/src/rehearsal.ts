import { type Static, Type } from 'typebox'

/**
 * The answer to a request with `?dryRun=true`: everything was checked and carried out as far as the database goes, and
 * taken back again. `effects` is what would have happened, in order; `answer` is what would have been answered.
 */
export const Rehearsal = Type.Object({
  dryRun: Type.Literal(true),
  effects: Type.Array(
    Type.Object({
      /** `task`: it would be begun, and do what `lines` say. `event`: it would be recorded at once. */
      kind: Type.Union([Type.Literal('task'), Type.Literal('event')]),
      /** The type of the task or event. */
      type: Type.String(),
      text: Type.String(),
      lines: Type.Array(Type.String()),
    }),
  ),
  answer: Type.Unknown(),
})
export type Rehearsal = Static<typeof Rehearsal>
