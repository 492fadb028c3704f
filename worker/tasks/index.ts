import type { WorkUnit } from '../../proto/messages.ts';
import type { Task, TaskName, TaskOf } from '../../proto/tasks.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';
import { tasks as cells } from './cells.ts';
import { tasks as encoder } from './encoder.ts';
import { tasks as fullPass } from './full-pass.ts';
import { tasks as graph } from './graph.ts';
import { tasks as reading } from './reading.ts';
import { tasks as statistics } from './statistics.ts';
import { tasks as steps } from './steps.ts';

type TaskFunction<T extends Task> = (context: Context, task: T, unit: WorkUnit) => Promise<Tensors>;

/** One function for each task of proto/tasks.ts: without, this does not compile. */
const FUNCTIONS: { [N in TaskName]: TaskFunction<TaskOf<N>> } = {
  ...reading,
  ...statistics,
  ...steps,
  ...cells,
  ...graph,
  ...encoder,
  ...fullPass,
};

/** Runs one task on one unit. A pure function of the states, the task and the unit's rows. */
export function runTask(context: Context, task: Task, unit: WorkUnit): Promise<Tensors> {
  return (FUNCTIONS[task.task] as TaskFunction<Task>)(context, task, unit);
}
