import { type Static, Type } from 'typebox'
import { KeyReference, Name, Nullable, Time } from './names.ts'

/** Which VMs; all that is said must hold. Without anything: all encrypted VMs. */
export const CampaignSelection = Type.Object(
  {
    vms: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 1000, description: 'By name' })),
    policy: Type.Optional(Type.String({ maxLength: 80, description: 'The policy of VM Home or of a disk' })),
    keyProvider: Type.Optional(Type.String({ maxLength: 80, description: 'Whose KEKs they use now' })),
    cluster: Type.Optional(Name),
    olderThanDays: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 36_500, description: 'One of their KEKs is at least so old' }),
    ),
    rotationDue: Type.Optional(
      Type.Boolean({ description: 'One of their KEKs is older than the rotation age of its policy' }),
    ),
    exposed: Type.Optional(
      Type.Boolean({ description: 'A host that left without confirming it may still hold one of their KEKs' }),
    ),
  },
  { additionalProperties: false },
)
export type CampaignSelection = Static<typeof CampaignSelection>

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const
const Weekday = Type.Union([
  Type.Literal('mon'),
  Type.Literal('tue'),
  Type.Literal('wed'),
  Type.Literal('thu'),
  Type.Literal('fri'),
  Type.Literal('sat'),
  Type.Literal('sun'),
])
const ClockTime = Type.String({ pattern: '^([01][0-9]|2[0-3]):[0-5][0-9]$', description: 'HH:MM' })

/**
 * When VMs may be rekeyed, by the clock of the campaign's time zone. `until` before `from`: over midnight, and then the
 * day is the one on which it began. Both the same: the whole day.
 */
export const CampaignWindow = Type.Object(
  { days: Type.Array(Weekday, { minItems: 1, maxItems: 7 }), from: ClockTime, until: ClockTime },
  { additionalProperties: false },
)
export type CampaignWindow = Static<typeof CampaignWindow>

/** What is to be rekeyed, how, and when. */
export const CampaignPlan = Type.Object(
  {
    selection: CampaignSelection,
    depth: Type.Union([Type.Literal('shallow'), Type.Literal('deep')]),
    /** Who makes the new KEKs, where it is not the provider that keeps a VM's present one. */
    keyProvider: Type.Optional(Type.String({ maxLength: 80 })),
    /** How many VMs at once, in all and on one host. */
    atOnceMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
    perHostMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
    /** For each VM that is rekeyed deeply. */
    bytesPerSecondMax: Type.Optional(Type.Integer({ minimum: 65_536, maximum: 2 ** 50 })),
    /** RFC 3339; left out, and no `cron`: at once. */
    startAt: Type.Optional(Type.String({ maxLength: 40 })),
    /** Five fields; each time another run begins. */
    cron: Type.Optional(Type.String({ maxLength: 100 })),
    /** IANA, such as `Europe/Berlin`; UTC when left out. */
    timeZone: Type.Optional(Type.String({ maxLength: 64 })),
    window: Type.Optional(CampaignWindow),
    /** A run stops when more VMs than these failed; left out: it goes on. */
    failuresMax: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
    /** How often one VM is tried. */
    triesMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
  },
  { additionalProperties: false },
)
export type CampaignPlan = Static<typeof CampaignPlan>

export const CreateCampaign = Type.Object({ name: Name, plan: CampaignPlan }, { additionalProperties: false })
export type CreateCampaign = Static<typeof CreateCampaign>

/** How many VMs of a run are in which state. */
export const CampaignCounts = Type.Object({
  pending: Type.Integer(),
  running: Type.Integer(),
  done: Type.Integer(),
  failed: Type.Integer(),
  skipped: Type.Integer(),
})
export type CampaignCounts = Static<typeof CampaignCounts>

export const CampaignRun = Type.Object({
  number: Type.Integer({ description: 'From 1 on' }),
  /** `stopped`: more VMs failed than may. */
  state: Type.Union([
    Type.Literal('running'),
    Type.Literal('done'),
    Type.Literal('cancelled'),
    Type.Literal('stopped'),
  ]),
  /** What it waits for; `null`: nothing. */
  waitsFor: Nullable(Type.String()),
  startedBy: Type.String(),
  startedAt: Time,
  endedAt: Nullable(Time),
  counts: CampaignCounts,
})
export type CampaignRun = Static<typeof CampaignRun>

export const Campaign = Type.Object({
  id: Type.String(),
  name: Name,
  plan: CampaignPlan,
  paused: Type.Boolean(),
  createdBy: Type.String(),
  createdAt: Time,
  /** When the next run begins; `null`: by hand alone. */
  nextRunAt: Nullable(Time),
  lastRun: Nullable(CampaignRun),
})
export type Campaign = Static<typeof Campaign>
export const CampaignList = Type.Object({ campaigns: Type.Array(Campaign) })

/** One VM of a run. */
export const CampaignItem = Type.Object({
  vm: Name,
  vmId: Type.String(),
  state: Type.Union([
    Type.Literal('pending'),
    Type.Literal('running'),
    Type.Literal('done'),
    Type.Literal('failed'),
    Type.Literal('skipped'),
  ]),
  /** Why, in words; empty while there is nothing to say. */
  text: Type.String(),
  tries: Type.Integer(),
  task: Nullable(Type.String()),
  oldKeys: Type.Array(KeyReference),
  newKey: Nullable(KeyReference),
})
export type CampaignItem = Static<typeof CampaignItem>

/** What became of a run: who, when, how many, which keys, what failed and why, what is left. */
export const CampaignReport = Type.Object({ campaign: Name, run: CampaignRun, items: Type.Array(CampaignItem) })
export type CampaignReport = Static<typeof CampaignReport>

/** What a run that began now would do. */
export const CampaignPreview = Type.Object({
  vms: Type.Array(
    Type.Object({
      vm: Name,
      host: Name,
      keys: Type.Array(KeyReference),
      /** Of the oldest KEK; `null`: not on record. */
      keyAgeDays: Nullable(Type.Integer()),
      /** That a deep rekey moves; 0 for a shallow one. */
      bytes: Type.Integer(),
      /** Why it would not work now; `null`: nothing is known that speaks against it. */
      problem: Nullable(Type.String()),
    }),
  ),
  /** How many more VMs would be rekeyed, which whoever asks may not see. */
  hiddenCount: Type.Integer(),
  totalBytes: Type.Integer(),
  /** By the rate of earlier deep rekeys; `null`: there were none, or no data is moved. */
  secondsEstimated: Nullable(Type.Integer()),
})
export type CampaignPreview = Static<typeof CampaignPreview>

export const CancelCampaign = Type.Object(
  {
    tasks: Type.Optional(Type.Boolean({ description: 'Cancel what is being rekeyed, too; else it comes to its end' })),
  },
  { additionalProperties: false },
)
export type CancelCampaign = Static<typeof CancelCampaign>

/** Something that needs a key provider. */
export const ProviderReference = Type.Object({
  kind: Type.Union([
    Type.Literal('vm'),
    Type.Literal('host'),
    Type.Literal('datastore'),
    Type.Literal('key-provider'),
    Type.Literal('policy'),
    Type.Literal('default'),
    Type.Literal('campaign'),
  ]),
  name: Type.String(),
  /** What of it, such as «VM Home, disk 0» or «host key». */
  part: Type.String(),
})
export type ProviderReference = Static<typeof ProviderReference>
export const ProviderReferenceList = Type.Object({ references: Type.Array(ProviderReference) })

export const MigrateProvider = Type.Object(
  {
    to: Type.String({ minLength: 1, maxLength: 80 }),
    depth: Type.Optional(Type.Union([Type.Literal('shallow'), Type.Literal('deep')])),
    atOnceMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
    perHostMax: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
  },
  { additionalProperties: false },
)
export type MigrateProvider = Static<typeof MigrateProvider>
