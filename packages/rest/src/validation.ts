import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
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
function describe(problem: Problem): { field: string; message: string } {
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
  const field = at === '' ? 'body' : at
  return { field, message: `${field}: ${problem.message}` }
}

/** The problem that says most: an unknown or missing field before a general one, the deepest before the outermost. */
function mostTelling(problems: readonly Problem[]): Problem | undefined {
  const weight = (problem: Problem) =>
    problem.instancePath.split('/').length +
    (problem.keyword === 'required' ? 20 : problem.keyword === 'additionalProperties' ? 10 : 0) -
    (['anyOf', 'oneOf', 'unevaluatedProperties', 'not'].includes(problem.keyword) ? 30 : 0)
  return problems.toSorted((one, two) => weight(two) - weight(one))[0]
}

/**
 * Fastify's validator over TypeBox: unknown fields and wrong types are refused by name and nothing in a body is coerced.
 * Path and query parameters are text on the wire, so numbers and booleans among them are read from it.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const compiled = Compile(schema)
  return (value: unknown) => {
    const read = httpPart === 'body' ? value : Convert(schema, value)
    if (compiled.Check(read)) return { value: read }
    const problem = mostTelling(compiled.Errors(read) as Problem[])
    const { field, message } =
      problem === undefined
        ? { field: httpPart ?? 'body', message: `${httpPart ?? 'body'}: is not what was expected` }
        : describe(problem)
    return { error: new RestError(400, 'invalid-request', message, { field }) }
  }
}
