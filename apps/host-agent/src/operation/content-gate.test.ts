import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { ContentGate } from './content-gate.ts'

test('content that falls silent ends, and the next offer is refused', async () => {
  const gate = new ContentGate(20)
  const content = new PassThrough()
  gate.offer(content)
  const arriving = await gate.wait(new AbortController().signal)
  content.write('the beginning')
  await assert.rejects(buffer(arriving), { code: 'io' })
  assert.ok(content.destroyed)
  assert.throws(() => gate.offer(new PassThrough()), { code: 'not-waiting-for-content' })
})

test('a reader that takes its time is no silence', async () => {
  const gate = new ContentGate(20)
  const content = new PassThrough()
  gate.offer(content)
  content.end('all of it')
  const pieces: Uint8Array[] = []
  for await (const piece of await gate.wait(new AbortController().signal)) {
    await new Promise((resolve) => setTimeout(resolve, 60))
    pieces.push(piece)
  }
  assert.equal(Buffer.concat(pieces).toString(), 'all of it')
})
