import { Command, type ErrorOptions, type HelpContext } from 'commander'
import { CliError } from './cli-error.ts'

/** A commander command whose wrong uses are our errors, and whose help ends with examples and other sections. */
export class CliCommand extends Command {
  readonly #sections: string[] = []

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name)
  }

  /** Adds lines that show how the command is used, each without the leading `cryptvisor`. */
  examples(...lines: readonly string[]): this {
    return this.section(
      'Examples',
      lines.map((line) => `$ cryptvisor ${line}`),
    )
  }

  /** Adds lines under a title to the end of the help. */
  section(title: string, lines: readonly string[]): this {
    this.#sections.push(`\n${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`)
    return this
  }

  override helpInformation(context?: Parameters<Command['helpInformation']>[0]): string {
    const everywhere =
      this.parent === null
        ? ''
        : `\nOptions that work everywhere (--dry-run, --json, --verbose, --url …): see cryptvisor --help\n`
    return super.helpInformation(context) + this.#sections.join('') + everywhere
  }

  /** All words of the command, such as `cryptvisor vm encrypt`. */
  get path(): string {
    return this.parent instanceof CliCommand ? `${this.parent.path} ${this.name()}` : this.name()
  }

  /** Called by commander for every wrong use. */
  override error(message: string, options?: ErrorOptions): never {
    const [first = '', ...rest] = message.replace(/^error: /, '').split('\n')
    const { text, field } = reword(first, options?.code)
    const suggestion = rest.map((line) => line.trim().replace(/^\((.*)\)$/, '$1')).join(' ')
    const help = `see ${this.path} --help`
    throw new CliError('usage', text, {
      next: suggestion === '' ? help : `${suggestion} (${help})`,
      ...(field === undefined ? {} : { field }),
    })
  }

  /** Help that nobody asked for is a wrong use: with `--json` it must be an error like any other. */
  override help(context?: HelpContext | ((text: string) => string)): never {
    const unasked = typeof context === 'object' && context.error
    if (unasked && this.optsWithGlobals<{ json?: boolean }>().json === true) {
      this.error(`${this.path}: a command is missing`)
    }
    return super.help({ error: unasked })
  }
}

/** Commander's texts, shorter, with the option that was wrong first. */
function reword(message: string, code: string | undefined): { text: string; field?: string } {
  const option = /'(--?[^\s',]+)[^']*'/.exec(message)?.[1]
  const field = option === undefined ? {} : { field: option }
  if (code === 'commander.excessArguments') {
    // Commander repeats them; they may be a password that was typed in the wrong place.
    return { text: message.replace(/(got \d+): .*$/, '$1') }
  }
  if (code === 'commander.missingMandatoryOptionValue') return { text: `${option}: is missing`, ...field }
  const invalid = /argument '(.*)' is invalid\. (.*)$/.exec(message)
  if (code === 'commander.invalidArgument' && invalid !== null) {
    return { text: `${option} ${invalid[1]}: ${invalid[2]}`, ...field }
  }
  return { text: message, ...field }
}
