import type { TaskName } from '../../proto/tasks.ts';
import type { TaskFunction } from '../context.ts';
import { tasks as cells } from './cells.ts';
import { tasks as encoder } from './encoder.ts';
import { tasks as fullPass } from './full-pass.ts';
import { tasks as graph } from './graph.ts';
import { tasks as reading } from './reading.ts';
import { tasks as statistics } from './statistics.ts';
import { tasks as steps } from './steps.ts';
import { tasks as terms } from './terms.ts';

/** One function for each task of proto/tasks.ts: without, this does not compile. */
const FUNCTIONS: { [N in TaskName]: TaskFunction<N> } = {
  ...reading,
  ...statistics,
  ...steps,
  ...cells,
  ...graph,
  ...encoder,
  ...fullPass,
  ...terms,
};

/** Runs one task on one unit. */
export const runTask: TaskFunction<TaskName> = (context, task, unit) =>
  (FUNCTIONS[task.task] as TaskFunction<TaskName>)(context, task, unit);
