import type { ObjectKind } from '@cryptvisor/control-plane-api'
import type { FastifyRequest } from 'fastify'
import type { Caller } from '../app/bearers.ts'
import type { ObjectPath } from '../app/inventory/inventory-object.ts'
import type { Objects } from '../app/inventory/objects.ts'

/** On which object a route asks for its privileges. */
export interface RouteObject {
  /** In words, for the table of privileges. */
  readonly text: string
  /** `path`: it is asked before the body is read. `body`: after it was read and checked. */
  readonly from: 'path' | 'body'
  /** Throws `not-found`. `null`: this caller needs no privilege for it. */
  find(objects: Objects, request: FastifyRequest, caller: Caller): Promise<ObjectPath | null>
}

/** A route that lists: it needs its privilege on any object, and shows those on which its caller has it. */
export const eachListed = 'each that is listed'

const fromPath = (kind: ObjectKind, parameter: string, text: string): RouteObject => ({
  text,
  from: 'path',
  // A parameter `name` is the request's own noun, and so names no field.
  find: (objects, { params }) =>
    objects.path({ kind, name: textOf(params, parameter) }, parameter === 'name' ? undefined : parameter),
})

const fromBody = (kind: ObjectKind, field: string, text: string): RouteObject => ({
  text,
  from: 'body',
  find: (objects, { body }) => objects.path({ kind, name: textOf(body, field) }, field),
})

/** Of `/vms/:vm`. */
export const theVm = fromPath('vm', 'vm', 'the VM')
/** Of `/hosts/:name`. */
export const theHost = fromPath('host', 'name', 'the host')
/** Of `/clusters/:name`. */
export const theCluster = fromPath('cluster', 'name', 'the cluster')
/** Of `/datastores/:name`. */
export const theDatastore = fromPath('datastore', 'name', 'the datastore')
/** Of `/key-providers/:name`. */
export const theKeyProvider = fromPath('key-provider', 'name', 'the key provider')
/** Of `/policies/:name`. */
export const thePolicy = fromPath('policy', 'name', 'the policy')
/** Of `/folders/:folder`. */
export const theFolder = fromPath('folder', 'folder', 'the folder')
/** The body's `cluster`. */
export const theNamedCluster = fromBody('cluster', 'cluster', 'the cluster')
/** The body's `folder`; the root when it is left out. */
export const theNamedFolder = fromBody('folder', 'folder', 'the folder')
/** The body's `parent`; the root when it is left out. */
export const theParentFolder = fromBody('folder', 'parent', 'the folder that it is to lie in')

/** The target of `/tasks/:id`. */
export const theTarget: RouteObject = {
  text: "the task's target",
  from: 'path',
  find: async (objects, { params }) => (await objects.ofTask(textOf(params, 'id'))).path,
}

/** The same; whoever began the task needs nothing, also when the target is gone. */
export const theTargetOfOthers: RouteObject = {
  text: "the task's target, unless the task is one's own",
  from: 'path',
  find: async (objects, { params }, caller) => {
    const { path, user } = await objects.ofTask(textOf(params, 'id'))
    return user === caller.name ? null : path
  },
}

/** The body's `object`. */
export const theNamedObject: RouteObject = {
  text: 'the object',
  from: 'body',
  find: async (objects, { body }) => {
    const object: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'object') : null
    // Checked by the route's schema, which has an `ObjectName` there.
    return objects.path({ kind: textOf(object, 'kind') as ObjectKind, name: textOf(object, 'name') }, 'object')
  },
}

/** A text in a body or in path parameters; the root for what is left out. */
function textOf(values: unknown, name: string): string {
  if (typeof values !== 'object' || values === null) throw new Error('the request has nothing that names an object')
  const value: unknown = Reflect.get(values, name)
  if (value === undefined) return '/'
  if (typeof value !== 'string') throw new Error(`${name} does not name an object`)
  return value
}
