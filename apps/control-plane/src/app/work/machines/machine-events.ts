import type { MachineStatus } from '@cryptvisor/host-agent-api'
import type { MachineRow } from '../../../database/machine-rows.ts'
import type { NewEvent } from '../../ports.ts'

/** What a change that nobody asked for here makes known; `null`: nothing. */
export function changeEvent(
  { vm, host }: { readonly vm: string; readonly host: string },
  before: MachineRow['state'],
  now: Pick<MachineStatus, 'state' | 'ended' | 'reason'>,
): NewEvent | null {
  const named = { vm, host }
  const because = now.reason === null ? '' : `: ${now.reason}`
  switch (now.state) {
    case 'starting':
      return null
    case 'running':
      if (before === 'paused' || before === 'failed') {
        return { type: 'vm.resumed', ...named, text: `VM ${vm} goes on, on host ${host}` }
      }
      if (before !== 'off' && before !== 'starting') return null
      return { type: 'vm.powered-on', ...named, text: `VM ${vm} runs on host ${host}` }
    case 'paused':
      if (before === 'paused' || before === 'unknown') return null
      return { type: 'vm.paused', ...named, text: `VM ${vm} was paused on host ${host}` }
    case 'failed':
      if (before === 'failed') return null
      return {
        type: 'vm.failed',
        ...named,
        text: `QEMU stopped VM ${vm} on host ${host}${because}. Mend the cause, then «vm resume ${vm}», or «vm reset ${vm}»`,
      }
    case 'off':
      return before === 'off' ? null : offEvent(named, now.ended, because)
  }
}

function offEvent(named: { vm: string; host: string }, ended: MachineStatus['ended'], because: string): NewEvent {
  const { vm, host } = named
  if (ended === 'broken') {
    const text = `VM ${vm} is off on host ${host} and nobody asked for that${because}. What its guest had not written yet is lost; start it again with «vm power-on ${vm}»`
    return { type: 'vm.crashed', ...named, text }
  }
  const how = ended === 'guest' ? 'its guest shut down' : 'it was powered off'
  return { type: 'vm.powered-off', ...named, text: `VM ${vm} is off on host ${host}: ${how}` }
}
