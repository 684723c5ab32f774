/** What a value of JSON must be like to be taken for a `Value`. */
export interface Shape<Value> {
  /** Where in `value`, called `place`, something is not as it must be; `null` when all is. */
  problemIn(value: unknown, place: string): string | null
  /** Never there: it carries the type. */
  readonly type?: Value
}

/** What a shape is the shape of. */
export type Of<Declared> = Declared extends Shape<infer Value> ? Value : never

type Fields = Readonly<Record<string, Shape<unknown> | Optional<unknown>>>

interface Optional<Value> {
  readonly optional: Shape<Value>
}

type OptionalNames<Declared extends Fields> = {
  [Name in keyof Declared]: Declared[Name] extends Optional<unknown> ? Name : never
}[keyof Declared]

type Structure<Declared extends Fields> = {
  readonly [Name in Exclude<keyof Declared, OptionalNames<Declared>>]: Of<Declared[Name]>
} & {
  readonly [Name in OptionalNames<Declared>]?: Declared[Name] extends Optional<infer Value> ? Value : never
}

/** How deep what QEMU says may be nested: a bridge behind a bridge is; a chain of a thousand is an attack on our stack. */
const depthMax = 64

const simple = <Value>(expected: string, is: (value: unknown) => boolean): Shape<Value> => ({
  problemIn: (value, place) => (is(value) ? null : `${place}: expected ${expected}`),
})

export const text = simple<string>('text', (value) => typeof value === 'string')
export const number = simple<number>('a number', (value) => typeof value === 'number')
export const flag = simple<boolean>('true or false', (value) => typeof value === 'boolean')
export const anything = simple<unknown>('anything', () => true)

/** One of `words`. */
export function oneOf<Word extends string>(...words: readonly Word[]): Shape<Word> {
  const known: ReadonlySet<unknown> = new Set(words)
  return simple(`one of ${words.join(', ')}`, (value) => known.has(value))
}

export function list<Item>(item: Shape<Item>): Shape<readonly Item[]> {
  return {
    problemIn(value, place) {
      if (!Array.isArray(value)) return `${place}: expected a list`
      for (const [index, each] of value.entries()) {
        const problem = item.problemIn(each, `${place}[${index}]`)
        if (problem !== null) return problem
      }
      return null
    },
  }
}

/** A field that may be missing. */
export const optional = <Value>(shape: Shape<Value>): Optional<Value> => ({ optional: shape })

/** An object with at least these fields; more are left as they are, since newer versions of QEMU have more. */
export function structure<const Declared extends Fields>(fields: Declared): Shape<Structure<Declared>> {
  return {
    problemIn(value, place) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return `${place}: expected an object`
      for (const [name, field] of Object.entries(fields)) {
        const isThere = Object.hasOwn(value, name)
        if (!isThere && 'optional' in field) continue
        if (!isThere) return `${place}.${name}: is missing`
        const shape = 'optional' in field ? field.optional : field
        const problem = shape.problemIn(Reflect.get(value, name), `${place}.${name}`)
        if (problem !== null) return problem
      }
      return null
    },
  }
}

/** A shape that holds itself. */
export function recursive<Value>(shape: () => Shape<Value>): Shape<Value> {
  let depth = 0
  return {
    problemIn(value, place) {
      if (depth === depthMax) return `${place}: is nested deeper than ${depthMax}`
      depth++
      try {
        return shape().problemIn(value, place)
      } finally {
        depth--
      }
    },
  }
}
