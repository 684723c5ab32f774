/** That something is not as it should be: once for each definition and object until it is cleared, then history. */
export interface AlarmRow {
  id: string
  /** The definition's name. */
  definition: string
  object_kind: 'vm' | 'host' | 'key' | 'key-provider' | 'notification' | 'certificate' | 'system'
  /** By name; a key as `provider/key ID`. */
  object: string
  severity: 'yellow' | 'red'
  text: string
  /** How often its cause was reported. */
  count: number
  raised_at: number
  last_at: number
  acknowledged_at: number | null
  acknowledged_by: string | null
  cleared_at: number | null
  /** `null` while it is raised, and when it was cleared by itself. */
  cleared_by: string | null
}

/** What was changed of a definition. */
export interface AlarmSettingRow {
  definition: string
  enabled: number
  /** In the definition's own unit; `null`: its default. */
  threshold: number | null
}

/** For how many days what is kept. */
export interface RetentionRow {
  kind: 'event' | 'alarm'
  days: number
}
