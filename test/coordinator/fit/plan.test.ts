// The arithmetic of docs/scale.md: its numbers are those of coordinator/fit/plan.ts and coordinator/fit/plan.ts.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { COSTS, type Machines, type Plan, plan } from '../../../coordinator/fit/plan.ts';
import { layoutOf } from '../../../model/layout.ts';
import { resolveConfig } from '../../../run/config.ts';
import { CHECKED, predicted } from '../../bench/rows/plan.ts';
import { called } from '../../e2e/in-process.ts';
import { jsonOf } from '../../e2e/support.ts';

const PAGE = readFileSync('docs/scale.md', 'utf8');
/** The cells of the line of a table that begins with this one. */
const cellsOf = (first: string) => {
  const line = PAGE.split('\n').find((each) => each.startsWith(`| ${first} |`));
  assert.ok(line, `docs/scale.md has no line for ${first}`);
  return line
    .split('|')
    .slice(2, -1)
    .map((cell) => cell.trim());
};

const CLUSTER: Machines = { workers: 8, gpu: null, link: 1.25e9 };
async function planned(
  change: Partial<Machines> = {},
  values: object = {},
  rows = 1e8,
  dim = 768,
): Promise<Plan> {
  const config = await resolveConfig({ data: 'x.npy', ...values });
  const layout = layoutOf(rows, dim, 128, 0n);
  return plan({ config, layout, valueBytes: 2, sample: 20_000, clusters: 50 }, { ...CLUSTER, ...change });
}
const secondsOf = ({ phases }: Plan, name: string) => phases.find((each) => each.name === name)!.seconds;

test('docs/scale.md has the costs of coordinator/fit/plan.ts', () => {
  for (const [name, cost] of Object.entries(COSTS))
    assert.equal(Number(cellsOf(`\`${name}\``)[0]), cost, name);
});

test('docs/scale.md says what plan predicts of measured runs, within 30 %', async () => {
  for (const { what, ...job } of CHECKED) {
    const { seconds } = await predicted(job);
    const [said, measured, off] = cellsOf(what).map((cell) =>
      Number.parseFloat(cell.replace('−', '-').replace(',', '')),
    );
    assert.equal(said, Number(seconds.toPrecision(3)), what);
    if (Number.isNaN(measured)) continue;
    // Not −0.
    assert.equal(off, Math.round(100 * (seconds / measured - 1)) || 0, what);
    assert.ok(Math.abs(off) <= 30, what);
  }
});

test('twice the workers halve what they share, and nothing of the coordinator', async () => {
  const [few, many] = [await planned({ workers: 2 }), await planned({ workers: 4 })];
  assert.equal(secondsOf(few, 'labels'), 2 * secondsOf(many, 'labels'));
  assert.equal(secondsOf(few, 'files'), secondsOf(many, 'files'));
  assert.equal(few.limit, 'core');
  // All read, but only one for each shard trains.
  const [each, more] = await Promise.all([128, 256].map((workers) => planned({ workers, link: 1e6 })));
  assert.equal(secondsOf(each, 'reading'), 2 * secondsOf(more, 'reading'));
  assert.equal(secondsOf(each, 'training'), secondsOf(more, 'training'));
});

test('a slow link limits, and a card takes over matrix products alone', async () => {
  const slow = await planned({ link: 1e6 });
  assert.equal(slow.limit, 'link');
  assert.equal(secondsOf(slow, 'reading'), (1e8 * 768 * 2) / 8 / 1e6);
  const [core, card] = [await planned(), await planned({ gpu: 'a100' })];
  assert.equal(secondsOf(card, 'reading'), secondsOf(core, 'reading'));
  assert.ok(secondsOf(card, 'labels') < secondsOf(core, 'labels'));
});

test('an encoder exchanges weights and both moments with each worker in a round', async () => {
  const values = { encoder: 'autoencoder', encoderHidden: '2', latent: 1, encoderEpochs: 1 };
  const rows = 64 * 512 * 64;
  const { bytes } = await planned({}, values, rows, 3);
  // One round of 64 shards on 8 workers; 3 – 2 – 1 – 2 – 3.
  const parameters = 3 * 2 + 2 + (2 + 1) + (2 + 2) + (2 * 3 + 3);
  const { bytes: plain } = await planned({}, {}, rows, 1);
  assert.equal(bytes.sent - plain.sent, 8 * 12 * parameters);
  assert.equal(bytes.read, 2 * rows * 3 * 2 + 2 * rows * 4);
});

test('more rows, clusters and columns take longer', async () => {
  const base = (await planned()).seconds;
  for (const more of [
    planned({}, {}, 2e8),
    planned({}, {}, 1e8, 1536),
    planned({}, { encoder: 'autoencoder' }),
  ])
    assert.ok((await more).seconds > base);
});

test('dpmesh plan prints what docs/scale.md has', async () => {
  const line = 'plan --rows 1e9 --columns 768 --dtype f16 --workers 64 --gpu a100 --price 2';
  const { stdout, code } = await called(line.split(' '));
  assert.equal(code, 0);
  for (const line of stdout.trimEnd().split('\n')) assert.ok(PAGE.includes(`\n    ${line}\n`), line);
  const found = jsonOf(await called([...line.split(' '), '--json']));
  assert.equal(found.cost, (2 * 64 * found.seconds) / 3600);
  assert.equal(found.measured, false);
  assert.equal(found.shards, 64);
});
