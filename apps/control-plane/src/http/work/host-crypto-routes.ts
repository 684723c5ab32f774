import {
  DecommissionHost,
  ExposedKeyList,
  HostKeyChoice,
  MoveHost,
  RebootCheckList,
  RekeyHosts,
  SetCryptoMode,
  StartedForHosts,
  TaskStarted,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../../app/content-rules.ts'
import type { Work } from '../../app/work/work.ts'
import { theCluster, theHost } from '../objects.ts'
import { ByName, Nothing } from '../parameters.ts'
import type { Routes } from '../routes.ts'

const ExposedQuery = Type.Object(
  { host: Type.Optional(Type.String({ minLength: 1, maxLength: 80 })) },
  { additionalProperties: false },
)

/** The encryption of hosts: enabling, host keys, leaving. What changes it answers 202 with the task that does it. */
export function hostCryptoRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/crypto/enable',
      config: { access: ['Cryptographer.RegisterHost'], on: theHost, rehearse: true },
      schema: {
        tags: ['hosts'],
        summary: 'Make a host crypto-safe; one that is and for which another key is named gets that one',
        params: ByName,
        body: HostKeyChoice,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.forHosts((hosts) => hosts.enable(principal, params.name, body)) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/crypto/disable',
      config: { access: ['Cryptographer.RegisterHost'], on: theHost, rehearse: true },
      schema: {
        tags: ['hosts'],
        summary: 'Disable encryption on a host without encrypted VMs; it forgets its keys',
        params: ByName,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, principal }, reply) =>
        reply.code(202).send({ task: await work.forHosts((hosts) => hosts.disable(principal, params.name)) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/rekey',
      config: { access: ['Cryptographer.RegisterHost'], on: theHost, rehearse: true },
      schema: {
        tags: ['hosts'],
        summary: 'Give a host another host key; the old one is retired',
        params: ByName,
        body: HostKeyChoice,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.forHosts((hosts) => hosts.rekey(principal, params.name, body)) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/clusters/:name/rekey-hosts',
      config: { access: ['Cryptographer.RegisterHost'], on: theCluster, rehearse: true },
      schema: {
        tags: ['clusters'],
        summary: 'Give every host of a cluster another host key',
        params: ByName,
        body: RekeyHosts,
        response: { 202: StartedForHosts },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send(await work.rekeyHosts(principal, params.name, body)),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/clusters/:name/crypto-mode',
      config: { access: ['Cryptographer.RegisterHost'], on: theCluster, rehearse: true },
      schema: {
        tags: ['clusters'],
        summary: 'Say when the hosts of a cluster are made crypto-safe',
        params: ByName,
        body: SetCryptoMode,
        response: { 204: Nothing },
      },
      handler: async ({ params, body, principal }, reply) => {
        await work.hosts.setCryptoMode(principal, params.name, body.mode)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/move',
      config: {
        access: ['Host.Inventory.MoveHost', 'Cryptographer.RegisterHost'],
        on: theHost,
        also: [contentRules.moveHostInto],
        rehearse: true,
      },
      schema: {
        tags: ['hosts'],
        summary: 'Move a host without VMs to another cluster: it forgets its keys and gets those of the new one',
        params: ByName,
        body: MoveHost,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.forHosts((hosts) => hosts.move(principal, params.name, body)) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/decommission',
      config: { access: ['Host.Config.Maintenance', 'Cryptographer.RegisterHost'], on: theHost, rehearse: true },
      schema: {
        tags: ['hosts'],
        summary: 'Take a host without VMs out of service: it forgets all keys, and its certificate is revoked',
        params: ByName,
        body: DecommissionHost,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply
          .code(202)
          .send({ task: await work.forHosts((hosts) => hosts.decommission(principal, params.name, body)) }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/hosts/:name/check-reboot',
      config: { access: ['Cryptographer.ReadKeyServersInfo'], on: theHost },
      schema: {
        tags: ['hosts'],
        summary: 'Whether a host can be restarted now: asks its providers for each key that it needs',
        params: ByName,
        response: { 200: RebootCheckList },
      },
      handler: ({ params }) => work.checkReboot({ host: params.name }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/clusters/:name/check-reboot',
      config: { access: ['Cryptographer.ReadKeyServersInfo'], on: theCluster },
      schema: {
        tags: ['clusters'],
        summary: 'Whether the hosts of a cluster can be restarted now',
        params: ByName,
        response: { 200: RebootCheckList },
      },
      handler: ({ params }) => work.checkReboot({ cluster: params.name }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/exposed-keys',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['hosts'],
        summary: 'Keys that hosts which left did not confirm to have forgotten',
        querystring: ExposedQuery,
        response: { 200: ExposedKeyList },
      },
      handler: async ({ query }) => ({ keys: await work.hosts.exposed(query.host) }),
    })
  }
}
