import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { prefixed } from '../../proto/codec.ts';
import type { WorkUnit } from '../../proto/messages.ts';
import { Mismatch } from '../../proto/shapes.ts';
import type { AnyTask } from '../../proto/tasks.ts';
import { dtypeOf } from '../../proto/tensors.ts';
import { createStates } from '../../tasks/compute/context.ts';
import { runTask } from '../../tasks/compute/table.ts';
import { TASKS, type Task } from '../../tasks/table.ts';
import { acceptRound } from '../../worker/accept-round.ts';
import { runUnits } from '../../worker/round.ts';
import { backends } from './present.ts';
import { bytes, contextOf, D, memoryBlocks, range } from './support.ts';
import { EVERY_TASK, STATES, w } from './task-cases.ts';

const [backend] = backends;
const SHARDS = range(w.layout.shards);
const names = Object.keys(STATES).map((name) => ({ name, version: 1 }));

function accepted(task: Task, sum: boolean) {
  const own = contextOf(backend, createStates(backend), memoryBlocks(w.raw, D), w.layout);
  const context = { ...own, run: (task: AnyTask, unit: WorkUnit) => runTask(own, task as Task, unit) };
  const units = SHARDS.map((shard) => (task.task === 'moments' ? w.unit(shard) : { shard, from: 0, to: 0 }));
  const header = {
    ...{ type: 'round' as const, term: 1, round: 1, tasks: [task], units, sum },
    ...{ uses: names, states: names },
  };
  acceptRound(TASKS, context, header, prefixed(Object.entries(STATES)));
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
  for (const task of EVERY_TASK)
    test(`of ${task.task}${'field' in task ? ' with a field' : ''}`, async () => {
      let round: ReturnType<typeof accepted>;
      try {
        round = accepted(task, true);
      } catch (error) {
        assert.ok(error instanceof Mismatch && /cannot be added up/.test(error.message));
        return;
      }
      assert.ok(await isSummable(task));
      const { context, header } = round;
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
});
