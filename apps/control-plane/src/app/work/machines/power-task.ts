import type { PowerAction } from '@cryptvisor/control-plane-api'
import type { MachineStatus } from '@cryptvisor/host-agent-api'

/** The task of each power action. */
export const powerTaskTypes = {
  'power-on': 'vm.power-on',
  'power-off': 'vm.power-off',
  'shut-down': 'vm.shut-down',
  reset: 'vm.reset',
  pause: 'vm.pause',
  resume: 'vm.resume',
} as const satisfies Readonly<Record<PowerAction, string>>

const holding: ReadonlySet<string> = new Set([powerTaskTypes.reset, powerTaskTypes.pause, powerTaskTypes.resume])

/**
 * Whether a task of this type tells itself that its VM came to this state. What nobody asked for, such as a crash in the middle of a
 * reset, is news whatever goes on.
 */
export function isToldByTask(type: string, state: MachineStatus['state']): boolean {
  if (type === powerTaskTypes['power-on'] || type === powerTaskTypes['power-off']) return true
  return holding.has(type) && (state === 'running' || state === 'paused')
}
