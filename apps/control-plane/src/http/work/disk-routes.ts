import type { Readable } from 'node:stream'
import {
  AddDisk,
  DiskList,
  ExportDisk,
  ImportDisk,
  ImportVolume,
  NameOrId,
  RestoreHeader,
  TaskStarted,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../../app/content-rules.ts'
import type { Work } from '../../app/work/work.ts'
import { theVm } from '../objects.ts'
import type { Routes } from '../routes.ts'
import { untilClosed } from '../until-closed.ts'

const ByVm = Type.Object({ vm: NameOrId })
const ByDisk = Type.Object({ vm: NameOrId, number: Type.Integer({ minimum: 0, maximum: 63 }) })

/** The disks of VMs. What changes one answers 202 with the task that does it. */
export function diskRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/vms/:vm/disks',
      config: { access: ['System.Read'], on: theVm },
      schema: { tags: ['vms'], summary: 'The disks of a VM, by number', params: ByVm, response: { 200: DiskList } },
      handler: async ({ params }) => ({ disks: await work.disks.list(params.vm) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks',
      config: {
        access: ['VirtualMachine.Config.AddNewDisk'],
        on: theVm,
        also: [
          contentRules.addEncryptedDisk,
          contentRules.rawDevice,
          contentRules.addDiskToEncrypted,
          contentRules.allocate,
          contentRules.makeSafe,
        ],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary:
          'Add an empty disk (encrypted: needs Cryptographer.AddDisk and Cryptographer.EncryptNew) or a block device (VirtualMachine.Config.RawDevice)',
        params: ByVm,
        body: AddDisk,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.disks.add(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks/import',
      config: {
        access: ['VirtualMachine.Config.AddNewDisk'],
        on: theVm,
        also: [contentRules.addDiskToEncrypted, contentRules.allocate],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Announce a plain image; its task then waits for PUT /api/v1/tasks/{task}/content',
        params: ByVm,
        body: ImportDisk,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.disks.importImage(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks/import-volume',
      config: {
        access: ['VirtualMachine.Config.AddNewDisk'],
        on: theVm,
        also: [
          contentRules.addEncryptedDisk,
          contentRules.addDiskToEncrypted,
          contentRules.allocate,
          contentRules.makeSafe,
        ],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: "Announce somebody else's LUKS volume; its task then waits for its passphrase, then for its content",
        params: ByVm,
        body: ImportVolume,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.disks.importVolume(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks/:number/export',
      config: { access: ['VApp.Export'], on: theVm, also: [contentRules.readEncrypted], idempotencyKey: false },
      schema: {
        tags: ['vms'],
        summary: 'Read a disk out, plain (application/octet-stream); an encrypted one needs Cryptographer.Access',
        params: ByDisk,
        body: ExportDisk,
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } } },
      },
      handler: async ({ params, body, principal }, reply) => {
        const gone = untilClosed(reply.raw)
        const { content, sizeBytes } = await work.disks.exportImage(principal, params.vm, params.number, body, gone)
        return reply.type('application/octet-stream').header('content-length', sizeBytes).send(content)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks/:number/header-backup',
      config: { access: ['Cryptographer.Access'], on: theVm, idempotencyKey: false },
      schema: {
        tags: ['vms'],
        summary:
          'Read out a backup of an encrypted disk’s LUKS header with its wrapped keys (application/octet-stream)',
        params: ByDisk,
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } } },
      },
      handler: async ({ params, principal }, reply) => {
        const gone = untilClosed(reply.raw)
        const { content, sizeBytes } = await work.disks.backupHeader(principal, params.vm, params.number, gone)
        return reply.type('application/octet-stream').header('content-length', sizeBytes).send(content)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/disks/:number/header-restore',
      config: {
        access: ['Cryptographer.Access', 'VirtualMachine.Config.AddNewDisk'],
        on: theVm,
        also: [contentRules.makeSafe],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Announce a backup of a disk’s header; its task then waits for PUT /api/v1/tasks/{task}/content',
        params: ByDisk,
        body: RestoreHeader,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.disks.restoreHeader(principal, params.vm, params.number, body) }),
    })
  }
}
