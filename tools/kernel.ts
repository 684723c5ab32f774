/**
 * `node tools/kernel.ts`: compiles the kernel of batch XTS from AssemblyScript to WebAssembly and keeps it in a source file,
 * so that nobody needs the compiler to run us; `--check` fails where that file is not what the compiler makes.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(import.meta.dirname, '../packages/crypto')
const sourcePath = join(folder, 'kernel/xts-kernel.ts')
const compiledPath = join(folder, 'src/xts-kernel-wasm.ts')

const compiled = `/** Compiled from kernel/xts-kernel.ts by \`node tools/kernel.ts\`: WebAssembly in base64. */
export const xtsKernelWasm =
  '${compile(sourcePath).toString('base64')}'
`

if (!process.argv.includes('--check')) {
  writeFileSync(compiledPath, compiled)
} else if (readFileSync(compiledPath, 'utf8') !== compiled) {
  console.error(`${compiledPath} is not what kernel/xts-kernel.ts compiles to: run node tools/kernel.ts`)
  process.exitCode = 1
}

/** No runtime and no memory of its own: the module holds the four functions, and works in the memory that it is given. */
function compile(path: string): Buffer {
  const compiler = fileURLToPath(import.meta.resolve('assemblyscript/bin/asc.js'))
  const options = ['-O3', '--noAssert', '--runtime', 'stub', '--importMemory', '--enable', 'simd']
  const output = mkdtempSync(join(tmpdir(), 'cryptvisor-kernel-'))
  try {
    const file = join(output, 'kernel.wasm')
    execFileSync(process.execPath, [compiler, path, ...options, '--outFile', file], { stdio: 'inherit' })
    return readFileSync(file)
  } finally {
    rmSync(output, { recursive: true })
  }
}
