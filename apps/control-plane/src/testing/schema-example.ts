/** As much of JSON Schema as our OpenAPI document says. */
export interface JsonSchema {
  readonly $ref?: string
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly minimum?: number
  readonly minLength?: number
  readonly pattern?: string
}

/** Texts for every pattern that the API has; the first that fits is taken. */
const texts = ['example', '/example', 'example-of-a-longer-text', 'a'.repeat(64)]

/** The smallest value that `schema` takes; `named` are the schemas that it may refer to. Throws when it finds none. */
export function exampleOf(schema: JsonSchema, named: Readonly<Record<string, JsonSchema>>): unknown {
  if (schema.$ref !== undefined) {
    const target = named[schema.$ref.replace('#/components/schemas/', '')]
    if (target === undefined) throw new Error(`${schema.$ref} is not in the document`)
    return exampleOf(target, named)
  }
  if (schema.const !== undefined) return schema.const
  if (schema.enum !== undefined) return schema.enum[0]
  const [first] = schema.anyOf ?? []
  if (first !== undefined) return exampleOf(first, named)
  switch (schema.type ?? '') {
    case 'object': {
      const required = Object.entries(schema.properties ?? {}).filter(([name]) => schema.required?.includes(name))
      return Object.fromEntries(required.map(([name, inner]) => [name, exampleOf(inner, named)]))
    }
    case 'array':
      return Array.from({ length: schema.minItems ?? 0 }, () => exampleOf(schema.items ?? {}, named))
    case 'integer':
    case 'number':
      return schema.minimum ?? 0
    case 'boolean':
      return false
    case 'string': {
      const { minLength = 0, pattern = '' } = schema
      const text = texts.find((candidate) => candidate.length >= minLength && new RegExp(pattern, 'u').test(candidate))
      if (text === undefined) throw new Error(`no example fits ${pattern}`)
      return text
    }
    default:
      throw new Error(`there is no example of ${JSON.stringify(schema)}`)
  }
}
