import assert from 'node:assert/strict'
import { existsSync, globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Operation, operations } from '@cryptvisor/kmip'
import { decodeNode, encodeNode, type Node, standIn } from '@cryptvisor/kmip/testing'
import { type Case, CaseRunner, readCase } from './testing/oasis/case-runner.ts'
import { Comparison } from './testing/oasis/comparison.ts'
import { unsupported } from './testing/oasis/unsupported.ts'

const folder = fileURLToPath(new URL('../../../../shared/vectors/oasis-kmip', import.meta.url))
const skip = existsSync(folder) ? false : 'the published cases are not here'
const ours: ReadonlySet<string> = new Set(
  Object.entries(Operation).flatMap(([name, number]) => (Object.hasOwn(operations, name) ? [String(number)] : [])),
)
const now = new Date('2026-06-01T12:00:00Z')

/** The cases of 1.0 to 1.4 that ask for nothing but operations that we have. */
function cases(): { readonly name: string; readonly content: Case }[] {
  return globSync(join(folder, '{testcases,profiles}-1.*/**/*.xml'))
    .toSorted()
    .flatMap((path) => {
      const content = readCase(path)
      const isOurs = content !== null && [...content.operations].every((operation) => ours.has(operation))
      return isOurs ? [{ name: basename(path, '.xml'), content }] : []
    })
}

test('the published cases of KMIP 1.0 to 1.4', { skip }, async (context) => {
  const failures: string[] = []
  const expected: string[] = []
  let passCount = 0
  const all = cases()
  for (const { name, content } of all) {
    const differences = await new CaseRunner(now).run(content)
    const reason = unsupported.find(([file]) => file.test(name))?.[1]
    if (differences.length === 0) passCount++
    if (reason === undefined) failures.push(...differences.map((difference) => `${name}: ${difference}`))
    else if (differences.length === 0) expected.push(name)
  }
  context.diagnostic(`${passCount} of ${all.length} cases pass whose operations are there`)
  assert.deepEqual(failures, [])
  assert.deepEqual(expected, [], 'these pass, and stand in the list of those that do not')
  assert.ok(passCount >= 70)
})

test('the comparison takes the answers of the cases and finds what is changed in them', { skip }, () => {
  let mutantCount = 0
  for (const { name, content } of cases()) {
    for (const { response } of content.exchanges) {
      // Any value will do for a variable, as long as it is the same one each time.
      const mirrored = decodeNode(encodeNode(response, standIn))
      const compare = (actual: Node) => new Comparison(new Map(), new Set()).differences(response, actual)
      assert.deepEqual(compare(mirrored), [], name)
      const mutant = withChangedStatus(mirrored)
      assert.notDeepEqual(compare(mutant), [], name)
      mutantCount++
    }
  }
  assert.ok(mutantCount > 500)
})

/** Turns successes into failures and the other way round. */
function withChangedStatus(node: Node): Node {
  const value = node.name === 'ResultStatus' ? (node.value === '0' ? '1' : '0') : node.value
  return { ...node, value, children: node.children.map(withChangedStatus) }
}
