import type { KeyPlan, Pace, VmChange } from './task-context.ts'

/** What a task would do, step by step, for a dry run. */
export function planLines(change: VmChange, key: KeyPlan): string[] {
  return [...keyLines(key), ...changeLines(change), ...paceLines('pace' in change ? change.pace : undefined)]
}

function keyLines(key: KeyPlan): string[] {
  switch (key.kind) {
    case 'none':
      return []
    case 'existing':
      return [`use key ${key.key.keyId} of key provider ${key.key.provider}`]
    case 'new':
      return [
        'make sure that the hosts of the cluster are crypto-safe',
        `ask key provider ${key.provider} for a new key, label it, and hand it to the hosts of the cluster`,
      ]
  }
}

function changeLines(change: VmChange): string[] {
  switch (change.kind) {
    case 'create-vm':
      return [
        `make the VM's folder and VM Home, ${change.encrypted ? 'encrypted' : 'plain'}`,
        ...change.disks.map(({ number, encrypted }) => `make disk ${number}, ${encrypted ? 'encrypted' : 'plain'}`),
      ]
    case 'delete-vm':
      return ['delete the VM with all its files; its keys stay in the key server']
    case 'add-disk':
      return [`make disk ${change.disk.number}, ${change.disk.encrypted ? 'encrypted' : 'plain'}`]
    case 'import-disk':
      return [`import disk ${change.number}, plain`]
    case 'import-volume':
      return [`${change.mode} the LUKS volume as disk ${change.number}${change.encrypted ? ', encrypted' : ', plain'}`]
    case 'restore-header':
      return [`write the header of disk ${change.number} back`]
    case 'encrypt':
    case 'decrypt': {
      const { kind, home, disks } = change
      const parts = disks.map(
        ({ number, policy }) => `${kind} disk ${number}, with the policy «${policy}» from then on`,
      )
      return home === null ? parts : [`${kind} VM Home, with the policy «${home.policy}» from then on`, ...parts]
    }
    case 'shallow-rekey':
    case 'deep-rekey': {
      const how =
        change.kind === 'deep-rekey' ? 'encrypt anew, with new data keys,' : 'wrap the data keys with the new key of'
      const parts = change.disks.map(({ number }) => `${how} disk ${number}`)
      const old = change.oldKeys.map(({ provider, keyId }) => `${keyId} of ${provider}`).join(', ')
      return [...(change.home ? [`${how} VM Home`] : []), ...parts, `have the hosts forget the old key ${old}`]
    }
    case 'relabel': {
      const { home, disks } = change
      const parts = disks.map(({ number, policy }) => `give disk ${number} the policy «${policy}», and move no data`)
      return home === null ? parts : [`give VM Home the policy «${home.policy}», and move no data`, ...parts]
    }
    case 'detach-disk':
      return [
        change.remove
          ? `take disk ${change.number} from the VM and remove its data`
          : `take disk ${change.number} from the VM; its layer stays on the datastore`,
      ]
    case 'attach-disk': {
      const { layerId, number, policy } = change.disk
      const moved =
        change.folder === null ? [] : [`bring layer ${layerId} out of folder ${change.folder} into that of the VM`]
      return [...moved, `attach layer ${layerId} as disk ${number}, with the policy «${policy}»`]
    }
    case 'clone-vm': {
      const keys = change.keys === 'new' ? 'encrypted anew with a key of its own' : 'with the same keys'
      const copied = `copy VM Home and ${change.diskIds.length} disks of VM ${change.source.name}`
      return [change.source.encryption === null ? `${copied}, plain` : `${copied}, ${keys}`]
    }
  }
}

function paceLines(pace: Pace | undefined): string[] {
  return pace?.verify === false ? ['without reading back what was written'] : []
}
