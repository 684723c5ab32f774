import { ChangePower, DeclareOff, MigrateVm, NameOrId, TaskStarted, Vm } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../../app/content-rules.ts'
import type { Work } from '../../app/work/work.ts'
import { theHost, theVm } from '../objects.ts'
import { Nothing } from '../parameters.ts'
import type { Routes } from '../routes.ts'

const ByVm = Type.Object({ vm: NameOrId })

/** The power of VMs, and which host runs them. */
export function powerRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/power',
      config: {
        access: ['System.Read'],
        on: theVm,
        also: [
          contentRules.powerOn,
          contentRules.powerOff,
          contentRules.reset,
          contentRules.suspend,
          contentRules.makeSafe,
        ],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Start a VM, have its guest shut down, power it off, reset it, pause it or let it go on',
        params: ByVm,
        body: ChangePower,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.machines.changePower(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/declare-off',
      config: {
        access: ['VirtualMachine.Interact.PowerOff'],
        on: theVm,
        also: [contentRules.declareOff],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Say that a VM is off whose host cannot say so any more, so that another host may start it',
        params: ByVm,
        body: DeclareOff,
        response: { 200: Vm },
      },
      handler: ({ params, body, principal }) => work.machines.declareOff(principal, params.vm, body),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/vms/:vm/migrate',
      config: {
        access: ['Resource.ColdMigrate'],
        on: theVm,
        also: [contentRules.migrateTo, contentRules.migrateEncrypted],
        rehearse: true,
      },
      schema: {
        tags: ['vms'],
        summary: 'Give a VM that is off to another host of its cluster',
        params: ByVm,
        body: MigrateVm,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.machines.migrate(principal, params.vm, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/machines/:vm/stop',
      config: { access: ['Host.Config.Maintenance'], on: theHost },
      schema: {
        tags: ['hosts'],
        summary: 'End a VM on a host that is not to run it, at once',
        params: Type.Object({ name: NameOrId, vm: NameOrId }),
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await work.machines.stopStray(principal, params.name, params.vm)
        return reply.code(204).send(null)
      },
    })
  }
}
