import { exampleOf, type JsonSchema } from './schema-example.ts'

/** As much of an operation of the OpenAPI document as tests of all routes look at. */
interface Operation {
  readonly security?: readonly unknown[]
  readonly 'x-privileges'?: readonly string[]
  readonly 'x-object'?: string
  readonly 'x-also'?: readonly { readonly when: string; readonly on: string; readonly privileges: readonly string[] }[]
  readonly parameters?: readonly { readonly name: string }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: JsonSchema }>> }
}

/** The OpenAPI document. */
export interface RouteDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> }
}

/** A route, with an example of its body. */
export interface DocumentedRoute {
  /** Such as `GET /api/v1/vms/{vm}`. */
  readonly name: string
  readonly method: string
  readonly path: string
  readonly isPublic: boolean
  readonly needed: readonly string[]
  /** On which object it asks for them; `null`: it needs none. */
  readonly object: string | null
  readonly also: NonNullable<Operation['x-also']>
  readonly hasDryRun: boolean
  readonly contentType: string | null
  /** The smallest good body; `null`: none, or none that is JSON. */
  readonly body: unknown
}

/** All routes of the document. */
export function routesOf({ paths, components }: RouteDocument): DocumentedRoute[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([verb, operation]): DocumentedRoute => {
      const method = verb.toUpperCase()
      const [contentType, { schema } = { schema: {} }] = Object.entries(operation.requestBody?.content ?? {})[0] ?? []
      return {
        name: `${method} ${path}`,
        method,
        path,
        isPublic: operation.security?.length === 0,
        needed: operation['x-privileges'] ?? [],
        object: operation['x-object'] ?? null,
        also: operation['x-also'] ?? [],
        hasDryRun: (operation.parameters ?? []).some(({ name }) => name === 'dryRun'),
        contentType: contentType ?? null,
        body: contentType === 'application/json' ? exampleOf(schema, components.schemas) : null,
      }
    }),
  )
}
