// Lists and maps of what comes from others, of which everything may be wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as z from 'zod/mini';
import { list, record } from '../../base/schema.ts';

const count = z.int().check(z.nonnegative());
const paths = (schema: z.ZodMiniType, value: unknown) =>
  schema.safeParse(value).error?.issues.map(({ path }) => path.join('.'));

test('a list and a map have what their elements become', () => {
  const schema = z.object({
    some: list(z.object({ n: count }), z.maxLength(3)),
    by: record(z.string(), z._default(z.optional(count), 7)),
    none: z._default(list(count), [1]),
  });
  assert.deepEqual(schema.parse({ some: [{ n: 1, more: 2 }, { n: 2 }], by: { a: 1, b: undefined } }), {
    some: [{ n: 1 }, { n: 2 }],
    by: { a: 1, b: 7 },
    none: [1],
  });
  const { __proto__: _, ...own } = record(z.string(), count).parse(JSON.parse('{"__proto__": 1, "a": 2}'));
  assert.deepEqual(own, { a: 2 });
});

test('nothing is looked at after the first thing that is wrong', () => {
  let looked = 0;
  const element = count.check(z.refine(() => ++looked > 0));
  const whole = z.refine((): boolean => assert.fail('a list that is not there is checked'));
  const many = (value: unknown) => Array(1000).fill(value);
  for (const value of ['x', {}, -1, null, [[]]]) {
    assert.deepEqual(paths(list(element).check(whole), [1, ...many(value)]), ['1']);
    assert.deepEqual(paths(list(list(element)).check(whole), [[1], ...many([2, value, value])]), ['1.1']);
    assert.deepEqual(paths(record(z.string(), element).check(whole), { a: 1, ...many(value) }), ['0']);
  }
  assert.ok(looked < 100, `${looked} elements`);
  assert.deepEqual(paths(record(z.string().check(z.regex(/^\d$/)), element), { 1: 1, a: 1, b: 1 }), ['a']);
  assert.deepEqual(paths(list(element, z.maxLength(3)), many('x')), ['']);
  assert.deepEqual(paths(list(element), 'x'), ['']);
});
