import type { FastifySchemaCompiler } from 'fastify'
import { type TSchema, Type } from 'typebox'
import { Compile } from 'typebox/compile'
import { Convert } from 'typebox/value'
import { RestError } from './rest-error.ts'

interface Problem {
  readonly keyword: string
  readonly instancePath: string
  readonly message: string
  readonly params: object
}

/** Words one problem so that it names the field and what was expected, and never repeats the value. */
function describe(problem: Problem, whole: string): ShapeProblem {
  const params = problem.params as { additionalProperties?: unknown; requiredProperties?: unknown }
  const at = problem.instancePath.replace(/^\//, '').replaceAll('/', '.')
  const join = (name: unknown) => (at === '' ? String(name) : `${at}.${String(name)}`)
  if (Array.isArray(params.additionalProperties)) {
    const field = join(params.additionalProperties[0])
    return { field, message: `${field}: there is no such field` }
  }
  if (Array.isArray(params.requiredProperties)) {
    const field = join(params.requiredProperties[0])
    return { field, message: `${field}: is missing` }
  }
  const field = at === '' ? whole : at
  return { field, message: `${field}: ${problem.message}` }
}

/** Joins the literals that one place may have into one problem that lists them. */
function oneOfEach(problems: readonly Problem[]): Problem[] {
  const literals = new Map<string, unknown[]>()
  for (const { keyword, instancePath, params } of problems) {
    if (keyword !== 'const') continue
    const { allowedValue } = params as { allowedValue?: unknown }
    literals.set(instancePath, [...(literals.get(instancePath) ?? []), allowedValue])
  }
  return problems.map((problem) => {
    const allowed = problem.keyword === 'const' ? literals.get(problem.instancePath) : undefined
    if (allowed === undefined) return problem
    return {
      ...problem,
      message: `must be ${[...new Set(allowed)].map((value) => JSON.stringify(value)).join(' or ')}`,
    }
  })
}

/** The problem that says most: an unknown or missing field before a general one, the deepest before the outermost. */
function mostTelling(problems: readonly Problem[]): Problem | undefined {
  const weight = (problem: Problem) =>
    problem.instancePath.split('/').length +
    (problem.keyword === 'required' ? 20 : problem.keyword === 'additionalProperties' ? 10 : 0) -
    (['anyOf', 'oneOf', 'unevaluatedProperties', 'not'].includes(problem.keyword) ? 30 : 0)
  return problems.toSorted((one, two) => weight(two) - weight(one))[0]
}

/** What is wrong with one value: the field, and a text that names it. */
export interface ShapeProblem {
  /** Such as `disks.0.format`; the name of the whole where the whole is wrong. */
  readonly field: string
  /** What was expected there; never repeats the value. */
  readonly message: string
}

/**
 * Makes a strict check of `schema` for what comes from outside: a body, a file, an answer. The check gives `null` when
 * the value is right, else what is wrong with it. `whole` is what errors call the value itself.
 */
export function shapeCheck(schema: TSchema, whole: string): (value: unknown) => ShapeProblem | null {
  const variants = variantsOf(schema)
  if (variants === null) return plainCheck(schema, whole)
  const checks = new Map(variants.map(([kind, variant]) => [kind, plainCheck(variant, whole)]))
  const anyKind = plainCheck(
    Type.Object({ kind: Type.Union(variants.map(([kind]) => Type.Literal(kind))) }, { additionalProperties: true }),
    whole,
  )
  return (value) => anyKind(value) ?? checks.get((value as { kind: string }).kind)?.(value) ?? null
}

/** The members of a union of objects that `kind` tells apart, so that errors are those of the member that was meant. */
function variantsOf(schema: TSchema): [string, TSchema][] | null {
  const { anyOf } = schema as { anyOf?: readonly TSchema[] }
  const variants = anyOf?.map((member): [unknown, TSchema] => {
    const { properties } = member as { properties?: { kind?: { const?: unknown } } }
    return [properties?.kind?.const, member]
  })
  return variants?.every((entry): entry is [string, TSchema] => typeof entry[0] === 'string') === true ? variants : null
}

function plainCheck(schema: TSchema, whole: string): (value: unknown) => ShapeProblem | null {
  const compiled = Compile(schema)
  return (value) => {
    if (compiled.Check(value)) return null
    const problem = mostTelling(oneOfEach(compiled.Errors(value) as Problem[]))
    return problem === undefined
      ? { field: whole, message: `${whole}: is not what was expected` }
      : describe(problem, whole)
  }
}

/**
 * Fastify's validator over TypeBox: unknown fields and wrong types are refused by name and nothing in a body is coerced.
 * Path and query parameters are text on the wire, so numbers and booleans among them are read from it.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = shapeCheck(schema, httpPart ?? 'body')
  return (value: unknown) => {
    const read = httpPart === 'body' ? value : Convert(schema, value)
    const problem = check(read)
    if (problem === null) return { value: read }
    return { error: new RestError(400, 'invalid-request', problem.message, { field: problem.field }) }
  }
}
