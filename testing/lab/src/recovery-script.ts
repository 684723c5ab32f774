import { readFileSync } from 'node:fs'

const document = new URL('../../../docs/recovery.md', import.meta.url)

/** The script called `name` in docs/recovery.md, exactly as a reader would copy it. Throws when there is none. */
export function recoveryScript(name: 'recover-disk.sh' | 'recover-home.py'): string {
  const text = readFileSync(document, 'utf8')
  const found = new RegExp(`^\`\`\`(?:sh|python) ${name.replace('.', '\\.')}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(text)
  if (found?.[1] === undefined) throw new Error(`docs/recovery.md has no script called ${name}`)
  return found[1]
}
