import {
  Campaign,
  CampaignList,
  CampaignPlan,
  CampaignPreview,
  CampaignReport,
  CancelCampaign,
  CreateCampaign,
  MigrateProvider,
  ProviderReferenceList,
  TaskStarted,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Campaigns } from '../../app/work/campaigns/campaigns.ts'
import type { Work } from '../../app/work/work.ts'
import { ByName, Nothing } from '../parameters.ts'
import type { Routes } from '../routes.ts'

/** Rekey campaigns: whoever may make one has everything rekeyed that it chooses. */
export function campaignRoutes(campaigns: Campaigns): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/campaigns',
      config: { access: ['System.Read'] },
      schema: { tags: ['campaigns'], summary: 'Rekey campaigns, by name', response: { 200: CampaignList } },
      handler: async () => ({ campaigns: await campaigns.list() }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/campaigns',
      config: { access: ['Cryptographer.Recrypt', 'Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['campaigns'],
        summary: 'Make a rekey campaign; it begins at once, at a time, or again and again',
        body: CreateCampaign,
        response: { 201: Campaign },
      },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await campaigns.create(body, principal)),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/campaign-previews',
      config: { access: ['Cryptographer.Recrypt'], idempotencyKey: false },
      schema: {
        tags: ['campaigns'],
        summary: 'Which VMs a campaign would rekey now, how much data that moves, and what speaks against it',
        body: Type.Object({ plan: CampaignPlan }, { additionalProperties: false }),
        response: { 200: CampaignPreview },
      },
      handler: ({ body, principal }) => campaigns.preview(body, principal),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/campaigns/:name',
      config: { access: ['System.Read'] },
      schema: { tags: ['campaigns'], summary: 'One campaign', params: ByName, response: { 200: Campaign } },
      handler: ({ params }) => campaigns.show(params.name),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/campaigns/:name/report',
      config: { access: ['System.Read'] },
      schema: {
        tags: ['campaigns'],
        summary: 'What became of each VM of the last run, or of run number `run`',
        params: ByName,
        querystring: Type.Object(
          { run: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })) },
          { additionalProperties: false },
        ),
        response: { 200: CampaignReport },
      },
      handler: ({ params, query, principal }) => campaigns.report(params.name, principal, query.run),
    })
    for (const [verb, summary] of [
      ['start', 'Begin a run now'],
      ['pause', 'Begin nothing more until it is resumed'],
      ['resume', 'Go on'],
    ] as const) {
      server.route({
        method: 'POST',
        url: `/api/v1/campaigns/:name/${verb}`,
        config: { access: ['Cryptographer.Recrypt', 'Cryptographer.ManageKeys'], rehearse: true },
        schema: { tags: ['campaigns'], summary, params: ByName, response: { 200: Campaign } },
        handler: ({ params, principal }) => {
          if (verb === 'start') return campaigns.startRun(params.name, principal)
          return verb === 'pause' ? campaigns.pause(params.name, principal) : campaigns.resume(params.name, principal)
        },
      })
    }
    server.route({
      method: 'POST',
      url: '/api/v1/campaigns/:name/cancel',
      config: { access: ['Cryptographer.Recrypt', 'Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['campaigns'],
        summary: 'End the run that is under way; what was not begun is left out',
        params: ByName,
        body: CancelCampaign,
        response: { 200: Campaign },
      },
      handler: ({ params, body, principal }) => campaigns.cancel(params.name, body, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/campaigns/:name',
      config: { access: ['Cryptographer.Recrypt', 'Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['campaigns'],
        summary: 'Remove a campaign with its reports',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await campaigns.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })
  }
}

/** Who needs a key provider, and moving everything to another one. */
export function providerMigrationRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/key-providers/:name/references',
      config: { access: ['Cryptographer.ReadKeyServersInfo'] },
      schema: {
        tags: ['key-providers'],
        summary: 'All that needs a key provider: VMs, disks, hosts, policies, defaults, campaigns',
        params: ByName,
        response: { 200: ProviderReferenceList },
      },
      handler: async ({ params }) => ({ references: await work.providerReferences(params.name) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/migrate',
      config: {
        access: ['Cryptographer.ManageKeyServers', 'Cryptographer.ManageKeys', 'Cryptographer.Recrypt'],
        rehearse: true,
      },
      schema: {
        tags: ['key-providers'],
        summary: 'Move everything to another key provider: defaults, policies, VMs by a campaign, host keys',
        params: ByName,
        body: MigrateProvider,
        response: { 202: TaskStarted },
      },
      handler: async ({ params, body, principal }, reply) =>
        reply.code(202).send({ task: await work.migrateProvider(principal, params.name, body) }),
    })
  }
}
