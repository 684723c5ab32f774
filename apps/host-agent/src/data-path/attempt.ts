import { dataPathErrorOf } from './data-path-error.ts'

/** Runs `action`; an error of the storage becomes a DataPathError that begins with `what`. */
export async function attempt<Result>(what: string, action: () => Promise<Result>): Promise<Result> {
  try {
    return await action()
  } catch (error) {
    throw dataPathErrorOf(error, what)
  }
}
