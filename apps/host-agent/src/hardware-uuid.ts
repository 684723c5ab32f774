import { randomUUID } from 'node:crypto'
import { access, readFile } from 'node:fs/promises'
import { AgentError } from './agent-error.ts'
import { isUuid } from './uuid.ts'

/** Where a host's hardware UUID comes from. */
export type HardwareUuidSource = 'auto' | 'dmi' | 'new'

const dmiPath = '/sys/class/dmi/id/product_uuid'

/**
 * The UUID that stands for this machine in key labels. `dmi`: the firmware's (SMBIOS 3.7, 7.2.1), where it is real and
 * readable; `new`: made now, as for the hosts of a lab; `auto`: the firmware's unless we are in a container, which shares
 * it with its neighbours, or there is none. Throws AgentError `bad-usage` when `dmi` is asked for and cannot be had.
 */
export async function hardwareUuid(source: HardwareUuidSource): Promise<string> {
  if (source === 'new') return randomUUID()
  if (source === 'auto' && (await inContainer())) return randomUUID()
  const text = await readFile(dmiPath, 'utf8').catch(() => null)
  const uuid = text === null ? null : realUuid(text)
  if (uuid !== null) return uuid
  if (source === 'auto') return randomUUID()
  throw new AgentError('bad-usage', `--hardware-uuid dmi: ${dmiPath} has no usable UUID here; use «new»`)
}

/** A UUID as firmware gives it, in lower case; `null` for the fillers that vendors leave in its place. */
export function realUuid(text: string): string | null {
  const uuid = text.trim().toLowerCase()
  if (!isUuid(uuid)) return null
  const digits = uuid.replaceAll('-', '')
  if (new Set(digits).size < 4) return null
  return fillers.has(digits) ? null : uuid
}

const fillers: ReadonlySet<string> = new Set([
  '0123456789abcdef0123456789abcdef',
  '03000200040005000006000700080009',
  '00020003000400050006000700080009',
])

async function inContainer(): Promise<boolean> {
  if (process.env['container'] !== undefined) return true
  const marks = await Promise.all(['/.dockerenv', '/run/.containerenv', '/run/systemd/container'].map(exists))
  return marks.includes(true)
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  )
}
