import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bytesBefore, type Job, packSpans, type Span, spanCountOf, spanOf } from './job.ts'
import { JobControl } from './job-control.ts'
import { Pace } from './pace.ts'

function jobOf(sizeBytes: number, startBytes: number, chunkBytes: number, spans: readonly Span[] | null): Job {
  const side = { path: 'x', offsetBytes: 0, key: null, unitSizeBytes: 512, skipsZeros: false } as const
  return {
    ...({ task: 'copy', source: side, target: side, sizeBytes, startBytes, chunkBytes } as const),
    ...{ spans: spans === null ? null : packSpans(spans) },
    ...{ control: JobControl.start(1, startBytes).memory, pace: new Pace().memory },
  }
}

const spansOf = (job: Job) => Array.from({ length: spanCountOf(job) }, (_, index) => spanOf(job, index))

test('chunks follow one another from the start to the exact end', () => {
  const pages = fc.integer({ min: 1, max: 50 }).map((count) => count * 4096)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2_000_000 }), pages, pages, (sizeBytes, start, chunkBytes) => {
      const startBytes = start < sizeBytes ? start : 0
      const job = jobOf(sizeBytes, startBytes, chunkBytes, null)
      let at = startBytes
      for (const [index, span] of spansOf(job).entries()) {
        assert.equal(bytesBefore(job, index), at)
        assert.deepEqual(span, { sourceOffset: at, targetOffset: at, sizeBytes: span.sizeBytes })
        assert.ok(span.sizeBytes > 0 && span.sizeBytes <= chunkBytes)
        at += span.sizeBytes
      }
      assert.equal(at, sizeBytes)
      // Lanes that found nothing more to do have taken a chunk beyond the end.
      for (const beyond of [0, 1, 7]) assert.equal(bytesBefore(job, spanCountOf(job) + beyond), sizeBytes)
    }),
  )
})

test('spans come as they were given, and count in their order', () => {
  const span = fc.record(
    { sourceOffset: fc.maxSafeNat(), targetOffset: fc.maxSafeNat(), sizeBytes: fc.integer({ min: 1, max: 65_536 }) },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(span), (spans) => {
      const sum = spans.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
      const job = jobOf(sum, 0, 65_536, spans)
      assert.deepEqual(spansOf(job), spans)
      let before = 0
      for (const [index, { sizeBytes }] of spans.entries()) {
        assert.equal(bytesBefore(job, index), before)
        before += sizeBytes
      }
      assert.equal(bytesBefore(job, spans.length + 3), sum)
    }),
  )
})
