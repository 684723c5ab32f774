import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, formatSize, formatTime, parseSize } from './quantity.ts'

test('sizes are shown in powers of 1024', () => {
  assert.equal(formatSize(0), '0 B')
  assert.equal(formatSize(1023), '1023 B')
  assert.equal(formatSize(1024), '1 KiB')
  assert.equal(formatSize(1_610_612_736), '1.5 GiB')
  assert.equal(formatSize(2 ** 50), '1 PiB')
  assert.equal(formatSize(2 ** 61), '2048 PiB')
})

test('sizes are read with units that mean one thing', () => {
  assert.equal(parseSize('1048576'), 1_048_576)
  assert.equal(parseSize('512B'), 512)
  assert.equal(parseSize('10G'), 10 * 2 ** 30)
  assert.equal(parseSize('10GiB'), 10 * 2 ** 30)
  assert.equal(parseSize('1 TiB'), 2 ** 40)
  for (const text of ['', '10GB', '10gib', '-1', '1.5G', '0x10', '1e3', '99999999P', '10 apples']) {
    assert.equal(parseSize(text), null, text)
  }
})

test('durations have the two largest units', () => {
  assert.equal(formatDuration(0.4), '0 s')
  assert.equal(formatDuration(59.6), '1 min 0 s')
  assert.equal(formatDuration(3723), '1 h 2 min')
})

test('times are local', () => {
  const time = new Date(2026, 0, 31, 14, 5, 9)
  assert.equal(formatTime(time.toISOString()), '2026-01-31 14:05:09')
  assert.equal(formatTime('soon'), 'soon')
})
