import {
  ChangePolicy,
  CloneVm,
  CreateVm,
  MoveTo,
  NameOrId,
  RekeyVm,
  TaskStarted,
  UnlockVms,
  Vm,
  VmList,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../../app/content-rules.ts'
import type { Work } from '../../app/work/work.ts'
import { eachListed, theNamedFolder, theVm } from '../objects.ts'
import type { Routes } from '../routes.ts'

const ByVm = Type.Object({ vm: NameOrId })

/** VMs. What changes them answers 202 with the task that does it. */
export function vmRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/vms',
      config: { access: ['System.Read'], on: eachListed },
      schema: { tags: ['vms'], summary: 'All VMs, by name', response: { 200: VmList } },
      handler: async ({ principal }) => ({ vms: await work.listVms(principal) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms',
      config: {
        access: ['VirtualMachine.Inventory.Create'],
        on: theNamedFolder,
        also: [
          contentRules.createEncrypted,
          contentRules.addDiskAtCreation,
          contentRules.allocate,
          contentRules.makeSafe,
        ],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Make a VM; encrypted (needs Cryptographer.EncryptNew) when its policy says so',
        body: CreateVm,
        response: { 202: TaskStarted },
      },
      handler: async ({ body, principal }, reply) =>
        reply.code(202).send({ task: await work.createVm(principal, body) }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/vms/:vm',
      config: { access: ['System.Read'], on: theVm },
      schema: { tags: ['vms'], summary: 'One VM, by name or ID', params: ByVm, response: { 200: Vm } },
      handler: ({ params }) => work.showVm(params.vm),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/vms/:vm',
      config: { access: ['VirtualMachine.Inventory.Delete'], on: theVm, rehearse: true },
      schema: {
        tags: ['vms'],
        summary: 'Delete a VM and its files; its keys stay in the key server',
        params: ByVm,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, principal }, reply) =>
        reply.code(202).send({ task: await work.deleteVm(principal, params.vm) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/policy',
      config: {
        access: ['StorageProfile.Apply'],
        on: theVm,
        also: [contentRules.encrypt, contentRules.decrypt, contentRules.makeSafe],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Change storage policies: encrypts (Cryptographer.Encrypt) or decrypts (Cryptographer.Decrypt)',
        params: ByVm,
        body: ChangePolicy,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.changePolicy(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/unlock',
      config: { access: ['Cryptographer.RegisterVM'], on: theVm },
      schema: {
        tags: ['vms'],
        summary: 'Fetch the VM’s keys again and open it; answers with the VM as it is then',
        params: ByVm,
        response: { 200: Vm },
      },
      handler: ({ params, principal }) => work.unlockVm(principal, params.vm),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms-unlock',
      config: { access: ['Cryptographer.RegisterVM'], rehearse: true },
      schema: {
        tags: ['vms'],
        summary: 'Unlock all VMs that are locked, or those of a host: each key is fetched once for each host',
        body: UnlockVms,
        response: { 202: TaskStarted },
      },
      handler: async ({ body, principal }, reply) =>
        reply.code(202).send({ task: await work.unlockVms(principal, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/rekey',
      config: { access: ['Cryptographer.Recrypt'], on: theVm, also: [contentRules.makeSafe], rehearse: true },
      schema: {
        tags: ['vms'],
        summary: 'Give a VM or parts of it another KEK (shallow), or encrypt them anew under new keys (deep)',
        params: ByVm,
        body: RekeyVm,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.rekeyVm(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/clone',
      config: {
        access: ['VirtualMachine.Provisioning.Clone'],
        on: theVm,
        also: [contentRules.cloneInto, contentRules.cloneEncrypted, contentRules.allocate, contentRules.makeSafe],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Make a full copy of a VM; of an encrypted one needs Cryptographer.Clone',
        params: ByVm,
        body: CloneVm,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.cloneVm(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/move',
      config: { access: ['VirtualMachine.Inventory.Move'], on: theVm, also: [contentRules.moveVmInto], rehearse: true },
      schema: {
        tags: ['vms'],
        summary: 'Put a VM into another folder; permissions of where it goes count for it from then on',
        params: ByVm,
        body: MoveTo,
        response: { 200: Vm },
      },
      handler: ({ params, body, principal }) => work.moveVm(principal, params.vm, body.folder),
    })
  }
}
