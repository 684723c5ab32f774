import { type Static, Type } from 'typebox'
import { KeyReference, Nullable, Time } from './names.ts'

export const TaskState = Type.Union([
  Type.Literal('queued'),
  Type.Literal('running'),
  Type.Literal('success'),
  Type.Literal('error'),
  Type.Literal('cancelled'),
])
export type TaskState = Static<typeof TaskState>

/** What a task is about. */
export const TaskTarget = Type.Object({
  kind: Type.Union([
    Type.Literal('vm'),
    Type.Literal('host'),
    Type.Literal('cluster'),
    Type.Literal('key'),
    Type.Literal('key-provider'),
    Type.Literal('campaign'),
    Type.Literal('system'),
  ]),
  id: Type.String(),
  name: Type.String(),
})
export type TaskTarget = Static<typeof TaskTarget>

export const Task = Type.Object({
  id: Type.String(),
  /** Such as `vm.encrypt`. */
  type: Type.String(),
  target: TaskTarget,
  state: TaskState,
  /** In words, such as «encrypting disk 0». */
  step: Type.String(),
  doneBytes: Type.Integer(),
  totalBytes: Type.Integer(),
  /** 0 to 100. */
  progressPercent: Type.Number(),
  /** Bytes a second and seconds left, where known. */
  rateBytesPerSecond: Nullable(Type.Number()),
  secondsLeft: Nullable(Type.Number()),
  /** The KEK that was made for it; from its Create on. */
  key: Nullable(KeyReference),
  cancelRequested: Type.Boolean(),
  /** It moves no data until it is resumed, or its host's agent starts anew. */
  paused: Type.Boolean(),
  error: Nullable(Type.Object({ code: Type.String(), message: Type.String() })),
  user: Type.String(),
  createdAt: Time,
  startedAt: Nullable(Time),
  endedAt: Nullable(Time),
})
export type Task = Static<typeof Task>
export const TaskList = Type.Object({ tasks: Type.Array(Task) })

/** How fast a task may move data from now on; `null`: as fast as its host can. */
export const TaskSpeed = Type.Object(
  { bytesPerSecondMax: Nullable(Type.Integer({ minimum: 65_536, maximum: 2 ** 50 })) },
  { additionalProperties: false },
)
export type TaskSpeed = Static<typeof TaskSpeed>

/** The task that a request started; 202. */
export const TaskStarted = Type.Object({ task: Task })
export type TaskStarted = Static<typeof TaskStarted>
