import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { temporaryFolder } from '@cryptvisor/testkit'
import { writeExport } from './exported-file.ts'

const content = randomBytes(100_000)

test('a folder that goes away meanwhile is a bad file, and no fault of ours', async (context) => {
  const folder = join(temporaryFolder(context), 'exports')
  mkdirSync(folder)
  const stream = Readable.from(
    (function* () {
      yield content
      rmSync(folder, { recursive: true })
      yield content
    })(),
    { highWaterMark: 1 },
  )
  await assert.rejects(
    writeExport(join(folder, 'disk.img'), stream, () => undefined),
    { name: 'CliError', code: 'bad-file', message: /disk\.img cannot be written: ENOENT/ },
  )
})

test('a name that somebody takes meanwhile stays theirs', async (context) => {
  const folder = temporaryFolder(context)
  const stream = Readable.from(
    (function* () {
      yield content
      mkdirSync(join(folder, 'disk.img'))
    })(),
  )
  await assert.rejects(
    writeExport(join(folder, 'disk.img'), stream, () => undefined),
    { code: 'bad-file', message: /is there already/ },
  )
  assert.deepEqual(readdirSync(folder), ['disk.img'])
})
