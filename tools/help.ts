/** What `./run` says when it is asked for nothing, `./run help`, and `./run VERB --help`. */
import { parseArgs } from 'node:util'

/** Each verb in one line, and what else there is to say. */
const verbs: Readonly<
  Record<string, { readonly usage: readonly (readonly [string, string])[]; readonly more: string }>
> = {
  demo: {
    usage: [['demo [--keep]', 'everything at work: encrypt, recover, lock, unlock, decrypt']],
    more: 'It makes a lab of its own in a temporary folder and removes it; --keep leaves it running and says where it is.',
  },
  test: {
    usage: [['test [--long] [PATH...]', 'all tests, or those below PATH']],
    more: '--long: the full counts of simulations, kills and fuzzing. A run that ran nothing fails.',
  },
  check: {
    usage: [['check', 'format, lint, types, layers, unused code, generated files']],
    more: 'It changes nothing. «biome check --write» formats, «node --run generate» writes the generated files.',
  },
  lab: {
    usage: [
      ['lab up --dir DIR [--json]', 'a key server, a control plane and two hosts on this machine'],
      ['lab status --dir DIR [--json]', 'what of it runs'],
      ['lab down --dir DIR', 'stops them; up again continues with the same data'],
      ['lab start|stop NAME --dir DIR', 'one service: key-server, control-plane, host-a, host-b'],
    ],
    more: [
      'up sets up what is not set up, starts what is not running, and writes addresses, certificates, process IDs and the',
      'administrator’s password to DIR/lab.json. Logs are in DIR/log. Remove DIR after «lab down» to be rid of it.',
    ].join('\n'),
  },
  cryptvisor: {
    usage: [['cryptvisor --dir DIR ARGUMENTS', 'the command line, against that lab']],
    more: './run cryptvisor --dir DIR --help lists the commands; docs/cli.md has all of them.',
  },
  bench: {
    usage: [['bench [NAME...]', 'speed, as ratios']],
    more: 'See docs/ARCHITECTURE.md, «The data path».',
  },
}

const lines = (usage: readonly (readonly [string, string])[]) =>
  usage.map(([line, what]) => `  ${line.padEnd(32)} ${what}\n`).join('')

function overview(): string {
  const all = Object.values(verbs).flatMap(({ usage }) => usage)
  return `usage: ./run VERB [ARGUMENTS]\n\n${lines(all)}\n./run VERB --help says more.\n`
}

const { positionals } = parseArgs({ allowPositionals: true, strict: false })
const [name] = positionals
const verb = name === undefined ? undefined : verbs[name]
process.stdout.write(
  name === undefined || verb === undefined
    ? overview()
    : `usage: ./run VERB [ARGUMENTS]\n\n${lines(verb.usage)}\n${verb.more}\n`,
)
if (name !== undefined && verb === undefined) {
  process.stderr.write(`./run: ${name}: there is no such verb\n`)
  process.exitCode = 2
}
