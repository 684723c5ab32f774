import {
  ApplyPlanList,
  ApplyPolicies,
  ApplyStarted,
  AttachDisk,
  DetachDisk,
  DetachedDiskList,
  Name,
  NameOrId,
  TaskStarted,
  VmComplianceList,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../../app/content-rules.ts'
import type { Work } from '../../app/work/work.ts'
import { eachListed, theVm } from '../objects.ts'
import type { Routes } from '../routes.ts'

const ByVm = Type.Object({ vm: NameOrId })
const ByDisk = Type.Object({ vm: NameOrId, number: Type.Integer({ minimum: 0, maximum: 63 }) })
const ByLayer = Type.Object({ layer: Type.String({ minLength: 1, maxLength: 64 }) })
const Chosen = Type.Object({ vm: Type.Optional(NameOrId), policy: Type.Optional(Name) })

/** Compliance with storage policies, and disks that are detached and attached. */
export function policyWorkRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/compliance',
      config: { access: ['StorageProfile.View'], on: eachListed },
      schema: {
        tags: ['policies'],
        summary: 'Whether VMs comply with their storage policies, each reason in words',
        querystring: Chosen,
        response: { 200: VmComplianceList },
      },
      handler: async ({ query, principal }) => ({ vms: await work.compliance(principal, query) }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/compliance/plan',
      config: { access: ['StorageProfile.View'], on: eachListed },
      schema: {
        tags: ['policies'],
        summary: 'What bringing a VM, or the VMs of a policy, into line would take',
        querystring: Chosen,
        response: { 200: ApplyPlanList },
      },
      handler: async ({ query, principal }) => ({ plans: await work.previewPolicies(principal, query) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/compliance/apply',
      config: {
        access: ['StorageProfile.Apply'],
        on: eachListed,
        also: [contentRules.applyEncrypts, contentRules.applyDecrypts, contentRules.applyRekeys],
        rehearse: true,
      },
      schema: {
        tags: ['policies'],
        summary:
          'Bring a VM, or the VMs of a policy, into line; encrypts (Cryptographer.Encrypt), decrypts (Decrypt), rekeys (Recrypt)',
        body: ApplyPolicies,
        response: { 202: ApplyStarted },
      },
      handler: async ({ body, principal }, reply) => reply.code(202).send(await work.applyPolicies(principal, body)),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/detached-disks',
      config: { access: ['Datastore.Browse'], on: eachListed },
      schema: {
        tags: ['vms'],
        summary: 'Disks that were detached and lie on their datastores still',
        response: { 200: DetachedDiskList },
      },
      handler: async ({ principal }) => ({ disks: await work.disks.listDetached(principal) }),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/detached-disks/:layer',
      config: { access: ['Datastore.FileManagement'], on: eachListed, rehearse: true },
      schema: {
        tags: ['vms'],
        summary: 'Remove a detached disk with its data',
        params: ByLayer,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, principal }, reply) =>
        reply.code(202).send({ task: await work.disks.removeDetached(principal, params.layer) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks/attach',
      config: {
        access: ['VirtualMachine.Config.AddExistingDisk'],
        on: theVm,
        also: [contentRules.attachEncrypted, contentRules.makeSafe],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Attach a disk that was detached (an encrypted one needs Cryptographer.AddDisk)',
        params: ByVm,
        body: AttachDisk,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.disks.attach(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks/:number/detach',
      config: { access: ['VirtualMachine.Config.RemoveDisk'], on: theVm, rehearse: true },
      schema: {
        tags: ['vms'],
        summary: 'Detach a disk, which stays on its datastore; or remove it with its data',
        params: ByDisk,
        body: DetachDisk,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.disks.detach(principal, params.vm, params.number, body) }),
    })
  }
}
