import type { PowerAction } from '@cryptvisor/control-plane-api'

/** The task of each power action. */
export const powerTaskTypes = {
  'power-on': 'vm.power-on',
  'power-off': 'vm.power-off',
  'shut-down': 'vm.shut-down',
  reset: 'vm.reset',
  pause: 'vm.pause',
  resume: 'vm.resume',
} as const satisfies Readonly<Record<PowerAction, string>>

const types: ReadonlySet<string> = new Set(Object.values(powerTaskTypes))

/** Whether a task changes the power of a VM, and so tells of that itself. */
export function isPowerTask(type: string): boolean {
  return types.has(type)
}
