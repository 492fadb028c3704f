import type { Computation } from '../../worker/round.ts';
import { tasks as cells } from '../cells/compute.ts';
import { tasks as encoder } from '../encoder/compute.ts';
import { tasks as fullPass } from '../full-pass/compute.ts';
import { tasks as graph } from '../graph/compute.ts';
import { tasks as reading } from '../reading/compute.ts';
import { tasks as statistics } from '../statistics/compute.ts';
import { tasks as steps } from '../steps/compute.ts';
import { TASKS, type Task, type TaskName } from '../table.ts';
import { tasks as terms } from '../terms/compute.ts';
import { createContext, createStates, type TaskFunction } from './context.ts';

/** One function for each task of the table: without, this does not compile. */
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

/** What a worker is given: the table, and how it is computed. */
export const COMPUTATION: Computation = {
  tasks: TASKS,
  open(inputs) {
    const states = createStates(inputs.backend);
    const context = createContext({ ...inputs, states });
    const { layout, rowsRead, free } = context;
    return { layout, states, rowsRead, free, run: (task, unit) => runTask(context, task as Task, unit) };
  },
};
