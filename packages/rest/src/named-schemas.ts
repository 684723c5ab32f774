import type { TSchema } from 'typebox'

/**
 * Gives an OpenAPI document in which each place that has one of `schemas` refers to it by name under
 * `components.schemas` (OpenAPI 3.1, 4.8.7). Of two names for the same schema the first counts.
 */
export function nameSchemas<Document extends object>(
  document: Document,
  schemas: Readonly<Record<string, TSchema>>,
): Document {
  const names = new Map<string, string>()
  for (const [name, schema] of Object.entries(schemas)) {
    const text = JSON.stringify(schema)
    if (!names.has(text)) names.set(text, name)
  }
  const named = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    const name = names.get(JSON.stringify(value))
    return name === undefined ? within(value) : { $ref: `#/components/schemas/${name}` }
  }
  const within = (value: object): unknown =>
    Array.isArray(value)
      ? value.map(named)
      : Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, named(inner)]))
  const components = Object.fromEntries(
    [...names].map(([text, name]) => [name, within(JSON.parse(text) as object)] as const),
  )
  // The same members, with schemas replaced by references to them.
  const whole = within(document) as Document & { components?: { schemas?: object } }
  return {
    ...whole,
    ...(names.size === 0
      ? {}
      : { components: { ...whole.components, schemas: { ...whole.components?.schemas, ...components } } }),
  }
}
