import {
  Cluster,
  ClusterList,
  CreateCluster,
  CreateDatastore,
  CreateEnrolmentToken,
  Datastore,
  DatastoreList,
  Host,
  HostList,
  NewEnrolmentToken,
} from '@cryptvisor/control-plane-api'
import { enrolmentPrivileges } from '../app/enrolment.ts'
import type { Platform } from '../app/platform.ts'
import { eachListed, theCluster, theDatastore, theHost, theNamedCluster } from './objects.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

/** Clusters, hosts, datastores. */
export function inventoryRoutes({ clusters, hosts, enrolment, datastores }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/clusters',
      config: { access: ['System.Read'], on: eachListed },
      schema: { tags: ['clusters'], summary: 'All clusters', response: { 200: ClusterList } },
      handler: async ({ principal }) => ({ clusters: await clusters.list(principal) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/clusters',
      config: { access: ['Host.Inventory.CreateCluster'], rehearse: true },
      schema: { tags: ['clusters'], summary: 'Make a cluster', body: CreateCluster, response: { 201: Cluster } },
      handler: async ({ body }, reply) => reply.code(201).send(await clusters.create(body)),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/clusters/:name',
      config: { access: ['Host.Inventory.DeleteCluster'], on: theCluster, rehearse: true },
      schema: { tags: ['clusters'], summary: 'Remove an empty cluster', params: ByName, response: { 204: Nothing } },
      handler: async ({ params }, reply) => {
        await clusters.remove(params.name)
        return reply.code(204).send(null)
      },
    })

    server.route({
      method: 'GET',
      url: '/api/v1/hosts',
      config: { access: ['System.Read'], on: eachListed },
      schema: { tags: ['hosts'], summary: 'All hosts', response: { 200: HostList } },
      handler: async ({ principal }) => ({ hosts: await hosts.list(principal) }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/hosts/:name',
      config: { access: ['System.Read'], on: theHost },
      schema: { tags: ['hosts'], summary: 'One host, by name or ID', params: ByName, response: { 200: Host } },
      handler: ({ params }) => hosts.get(params.name),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/enrolment-tokens',
      config: { access: enrolmentPrivileges, on: theNamedCluster, idempotencyKey: false },
      schema: {
        tags: ['hosts'],
        summary: 'Make a token that enrols one host, once, within 15 minutes',
        body: CreateEnrolmentToken,
        response: { 201: NewEnrolmentToken },
      },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await enrolment.createToken(body, principal)),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/hosts/:name',
      config: { access: ['Host.Inventory.RemoveHostFromCluster'], on: theHost, rehearse: true },
      schema: {
        tags: ['hosts'],
        summary: 'Remove a host without VMs; its certificate is revoked at once',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await hosts.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })

    server.route({
      method: 'GET',
      url: '/api/v1/datastores',
      config: { access: ['System.Read'], on: eachListed },
      schema: { tags: ['datastores'], summary: 'All datastores', response: { 200: DatastoreList } },
      handler: async ({ principal }) => ({ datastores: await datastores.list(principal) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/datastores',
      config: { access: ['Datastore.Config'], on: theNamedCluster, rehearse: true },
      schema: {
        tags: ['datastores'],
        summary: 'Make a datastore',
        body: CreateDatastore,
        response: { 201: Datastore },
      },
      handler: async ({ body }, reply) => reply.code(201).send(await datastores.create(body)),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/datastores/:name',
      config: { access: ['Datastore.Delete'], on: theDatastore, rehearse: true },
      schema: {
        tags: ['datastores'],
        summary: 'Take a datastore without VMs out of the inventory; its files stay',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params }, reply) => {
        await datastores.remove(params.name)
        return reply.code(204).send(null)
      },
    })
  }
}
