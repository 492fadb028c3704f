// The dashboards against JSON schemas made from Grafana's own types: npm, PyPI and Debian have no Grafana to load them into.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';
import { boards, panels, targets } from './expressions.ts';

const TYPES = fileURLToPath(new URL('./grafana-types.ts', import.meta.url));

/** One program of the compiler for all types: it takes a second to load. */
const schema = createGenerator({
  path: TYPES,
  tsconfig: fileURLToPath(new URL('../../tsconfig.json', import.meta.url)),
  type: '*',
  skipTypeCheck: true,
}).createSchema('*');
const ajv = new Ajv({ strict: false, allErrors: true });
ajv.addSchema(schema, 'grafana');

function assertValid(type: string, value: unknown, where: string): void {
  const validate = ajv.getSchema(`grafana#/definitions/${type}`) as ValidateFunction | undefined;
  assert.ok(validate, `${where}: there is no type ${type}`);
  validate(value);
  assert.deepEqual(
    (validate.errors ?? []).map(({ instancePath, message, params }) => [instancePath, message, params]),
    [],
    where,
  );
}

for (const [name, board] of boards())
  test(`${name} is what Grafana’s types of dashboards, panels and queries allow`, () => {
    const { panels: _, ...rest } = board;
    assertValid('Board', rest, name);
    for (const panel of panels(board)) {
      const where = `${name}: ${panel.title}`;
      const { targets: _, ...own } = panel;
      assertValid('Panel', own, where);
      assertValid(`${panel.type}Options`, panel.options ?? {}, where);
      assertValid(`${panel.type}Fields`, panel.fieldConfig?.defaults.custom ?? {}, where);
      for (const target of targets(panel)) assertValid('Query', target, where);
    }
  });

test('a field that Grafana does not know, or a value of another type, is found', () => {
  const [{ panels: _, ...board }] = boards().values();
  assert.throws(() => assertValid('Board', { ...board, tittle: 'x' }, 'x'), /tittle/);
  assert.throws(() => assertValid('Board', { ...board, title: 3 }, 'x'), /string/);
  assert.throws(() => assertValid('statOptions', { colorMode: 'colourful' }, 'x'), /colorMode/);
});
