import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { parseSync } from 'oxc-parser'
import { layers, testOnly } from './layers.ts'

interface Manifest {
  readonly name: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

interface Source {
  readonly path: string
  readonly folder: string
  readonly own: string
  readonly targets: readonly string[]
}

/** Reads a manifest; ours are written by hand and have this shape. */
function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest
}

/** Everything that `path` imports or exports from elsewhere, types and dynamic imports with a literal included. */
function importsOf(path: string): string[] {
  const text = readFileSync(path, 'utf8')
  const { module, errors } = parseSync(path, text)
  assert.deepEqual(errors, [], path)
  return [
    ...module.staticImports.map((entry) => entry.moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) => entries.flatMap((entry) => entry.moduleRequest?.value ?? [])),
    ...module.dynamicImports.map(({ moduleRequest }) =>
      text.slice(moduleRequest.start, moduleRequest.end).replace(/^['"]|['"]$/g, ''),
    ),
  ]
}

async function sourcesOf(folders: string): Promise<Source[]> {
  const sources: Source[] = []
  for await (const path of glob(`${folders}/package.json`)) {
    const folder = dirname(path)
    const { name } = readManifest(path)
    for await (const file of glob(`${folder}/{src,test}/**/*.{ts,tsx}`)) {
      sources.push({ path: file, folder, own: name, targets: importsOf(file) })
    }
  }
  return sources
}

const packageOf = (target: string) => target.split('/').slice(0, 2).join('/')
const isTest = (path: string) => /\.test\.tsx?$/.test(path) || /\/test\//.test(path) || /\/testing\//.test(path)

test('imports go down the layers', async () => {
  const sources = await sourcesOf('{packages,apps}/*')
  assert.ok(sources.length > 20, 'the sources were found')
  for (const { path, own, targets } of sources) {
    const layer = layers[own]
    assert.ok(layer !== undefined, `${own} has no layer`)
    for (const target of targets.filter((target) => target.startsWith('@cryptvisor/'))) {
      const name = packageOf(target)
      if (isTest(path)) continue
      assert.ok(!testOnly.has(name), `${path} imports ${target}, which is for tests`)
      const other = layers[name]
      assert.ok(other !== undefined && other < layer, `${path} (layer ${layer}) imports ${target} (layer ${other})`)
    }
  }
})

test('layers 0 to 2 open no file and no socket, and read no clock', async () => {
  const forbidden = /^node:(fs|net|tls|http|https|http2|dgram|dns|child_process|cluster|sqlite|worker_threads)(\/|$)/
  const clock = /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(/
  for (const { path, own, targets } of await sourcesOf('packages/*')) {
    const layer = layers[own]
    if (isTest(path) || layer === undefined || layer > 2) continue
    for (const target of targets) assert.ok(!forbidden.test(target), `${path} imports ${target}`)
    assert.ok(!clock.test(readFileSync(path, 'utf8')), `${path} reads the clock`)
  }
})

test('pki alone uses @peculiar/x509 and reflect-metadata', async () => {
  for (const { path, own, targets } of await sourcesOf('{packages,apps,testing}/*')) {
    if (own === '@cryptvisor/pki') continue
    const found = targets.filter((target) => ['@peculiar/x509', 'reflect-metadata'].includes(packageOf(target)))
    assert.deepEqual(
      found.filter((target) => target.startsWith('@peculiar') || target === 'reflect-metadata'),
      [],
      path,
    )
  }
})

test('tsconfig refers to what package.json lists', async () => {
  for await (const path of glob('{packages,apps,testing}/*/package.json')) {
    const manifest = readManifest(path)
    const config = JSON.parse(readFileSync(join(dirname(path), 'tsconfig.json'), 'utf8')) as {
      references: readonly { path: string }[]
    }
    const listed = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
      .filter((name) => name.startsWith('@cryptvisor/'))
      .map((name) => name.slice('@cryptvisor/'.length))
    assert.deepEqual(
      config.references.map((reference) => reference.path.split('/').at(-1)).toSorted(),
      listed.toSorted(),
      path,
    )
  }
})

test('index.ts lists what a package offers and does nothing else', async () => {
  for await (const path of glob('packages/*/src/index.ts')) {
    const { program } = parseSync(path, readFileSync(path, 'utf8'))
    for (const statement of program.body) {
      assert.ok(
        ['ExportNamedDeclaration', 'ExportAllDeclaration'].includes(statement.type),
        `${path} has a ${statement.type}`,
      )
    }
  }
})

test('no folder is called utils, helpers or common', async () => {
  for await (const path of glob('{packages,apps,testing,e2e,tools}/**/{utils,helpers,common}')) {
    assert.match(path, /node_modules|build/)
  }
})
