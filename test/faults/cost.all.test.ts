// What an undisturbed run does for reliability: counts, no times.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { easyData, epochOf, eventsOf, ofType, pageUrlOf, scratch, start, trainArgs } from '../e2e/support.ts';

test('an undisturbed run computes nothing twice and writes at most one checkpoint per step and per 30 s', async () => {
  const folder = scratch();
  const { data } = easyData(folder, 'easy', 3000);
  const out = join(folder, 'run');
  const http = ['--http', '127.0.0.1:0', '--linger', 20];
  const flags = ['--no-early-stop', '--max-epochs', 60, '--split-merge-every', 10];
  const running = start(trainArgs(data, out, '--workers', 2, ...flags, ...http));
  while (epochOf(out) < 60) await sleep(50);
  const text = await (await fetch(`${await pageUrlOf(running)}metrics`)).text();
  const of = (name: string) =>
    text
      .split('\n')
      .filter((line) => line.startsWith(`dpmesh_${name}{`))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
  running.kill('SIGTERM');
  const { seconds } = await running.ended;
  const [rounds, joins] = [of('rounds_total'), of('worker_joins_total')];
  assert.ok(rounds > 60 && joins === 2, text);
  assert.equal(of('units_reassigned_total'), 0);
  assert.equal(of('refused_messages_total') + of('refused_connections_total'), 0);
  // On a busy machine a worker may be delayed for long enough to be raced.
  assert.ok(
    of('units_raced_total') <= rounds / 20,
    `${of('units_raced_total')} units raced in ${rounds} rounds`,
  );
  const events = eventsOf(out);
  const maxCheckpoints = ofType(events, 'step').length + 2 + seconds / 30;
  assert.ok(
    ofType(events, 'checkpoint').length <= maxCheckpoints,
    `${ofType(events, 'checkpoint').length} checkpoints`,
  );
});
