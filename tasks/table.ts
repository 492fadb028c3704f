import { type TaskIn, taskTable } from '../proto/tasks.ts';
import { entries as cells } from './cells/entry.ts';
import { entries as encoder } from './encoder/entry.ts';
import { entries as fullPass } from './full-pass/entry.ts';
import { entries as graph } from './graph/entry.ts';
import { mostSampledRows } from './parameters.ts';
import { entries as reading } from './reading/entry.ts';
import { entries as statistics } from './statistics/entry.ts';
import { entries as steps } from './steps/entry.ts';
import { entries as terms } from './terms/entry.ts';

/**
 * The tasks of clustering, each a folder (or several that share their code): `entry.ts`, `compute.ts` on a worker, and `ask.ts` by the
 * coordinator. Processes hand this table to rounds, relay and worker, which know no task.
 */
export const ENTRIES = {
  ...reading,
  ...statistics,
  ...steps,
  ...cells,
  ...graph,
  ...encoder,
  ...fullPass,
  ...terms,
};

export type TaskName = keyof typeof ENTRIES;
export type TaskOf<N extends TaskName> = TaskIn<typeof ENTRIES, N>;
export type Task = TaskOf<TaskName>;

export const TASKS = taskTable(ENTRIES, mostSampledRows);
