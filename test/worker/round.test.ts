import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { prefixed } from '../../proto/codec.ts';
import type { Task } from '../../proto/tasks.ts';
import { dtypeOf } from '../../proto/tensors.ts';
import { createContext } from '../../worker/context.ts';
import { acceptRound, runUnits } from '../../worker/round.ts';
import { InvalidRound } from '../../worker/state-checks.ts';
import { createStates } from '../../worker/states.ts';
import { runTask } from '../../worker/tasks/index.ts';
import { STATES, TASKS, w } from '../faults/fuzz-worker.ts';
import { backends } from './present.ts';
import { bytes, D, memoryBlocks, range } from './support.ts';

const [backend] = backends;
const SHARDS = range(w.layout.shards);
const names = Object.keys(STATES).map((name) => ({ name, version: 1 }));

function accepted(task: Task, sum: boolean) {
  const context = createContext(backend, createStates(backend), memoryBlocks(w.raw, D), w.layout);
  const units = SHARDS.map((shard) => (task.task === 'moments' ? w.unit(shard) : { shard, from: 0, to: 0 }));
  const header = {
    ...{ type: 'round' as const, term: 1, round: 1, tasks: [task], units, sum },
    ...{ uses: names, states: names },
  };
  acceptRound(context, header, prefixed(Object.entries(STATES)));
  return { context, header };
}

/** Float64 arrays, or the weights of an encoder in float32, of the same lengths for all shards. */
async function isSummable(task: Task): Promise<boolean> {
  const { context, header } = accepted(task, false);
  const forms = new Set<string>();
  for (const unit of header.units)
    for (const [name, { data }] of Object.entries(await runTask(context, task, unit)))
      forms.add(`${name} ${dtypeOf(data)} ${data.length}`);
  const of = new Set([...forms].map((form) => form.split(' ')[0]));
  const isFloat = (form: string) =>
    form.includes(' float64 ') || (task.task === 'encoder-steps' && form.includes(' float32 '));
  return of.size === forms.size && [...forms].every(isFloat);
}

describe('a round that asks for sums', () => {
  for (const task of TASKS)
    test(`of ${task.task}${'field' in task ? ' with a field' : ''}`, async () => {
      if (!(await isSummable(task))) {
        assert.throws(
          () => accepted(task, true),
          (error) => error instanceof InvalidRound && /cannot be added up/.test(error.message),
        );
        return;
      }
      const { context, header } = accepted(task, true);
      let sums: ReturnType<typeof bytes> = [];
      const failed = await runUnits(context, header, {
        isOver: () => false,
        done: (_units, results) => {
          sums = [...sums, ...bytes(results)];
        },
      });
      assert.equal(failed, null);
      assert.ok(sums.length > 0);
    });

  test('cannot be of the tasks that the protocol names, and of no others', async () => {
    const readme = readFileSync(new URL('../../proto/README.md', import.meta.url), 'utf8');
    const [, sentence] = readme.match(
      /round are float64, or float32 and then rounded at each node \(not those of ([\s\S]*?)\)/,
    )!;
    const named = [...sentence.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name);
    const found = new Set<string>();
    for (const task of TASKS) if (!(await isSummable(task))) found.add(task.task);
    assert.deepEqual([...found].sort(), named.sort());
  });
});
