import type { WorkUnit } from '../../proto/messages.ts';
import type { Task } from '../../proto/tasks.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Context } from '../context.ts';
import { cellHistogram, cellScatter, cellSums } from './cells.ts';
import { clusterSteps } from './cluster-steps.ts';
import { columnHistogram, fencedMoments } from './columns.ts';
import { encode } from './encoder/encode.ts';
import { encoderSteps } from './encoder/encoder-steps.ts';
import { cellFourthMoments } from './fourth-moments.ts';
import { fullPass } from './full-pass.ts';
import { sampleCovariance, sampleRows } from './graph/features.ts';
import { memberships } from './graph/memberships.ts';
import { neighbours } from './graph/neighbours.ts';
import { nullPartitions, partitions, startPartition } from './graph/partitions.ts';
import { moments } from './moments.ts';
import { pivotedStatistics } from './pivoted-statistics.ts';
import { sampleLabels } from './sample-labels.ts';
import { seedDistances } from './seed-distances.ts';
import { statistics } from './statistics.ts';
import { subSteps } from './sub-steps.ts';

type TaskFunction<T extends Task> = (context: Context, task: T, unit: WorkUnit) => Promise<Tensors>;

const TASK_FUNCTIONS: { [N in Task['task']]: TaskFunction<Extract<Task, { task: N }>> } = {
  moments,
  'column-histogram': columnHistogram,
  'fenced-moments': fencedMoments,
  'seed-distances': seedDistances,
  'cluster-steps': clusterSteps,
  statistics,
  'pivoted-statistics': pivotedStatistics,
  'sub-steps': subSteps,
  'sample-labels': sampleLabels,
  'cell-sums': cellSums,
  'cell-scatter': cellScatter,
  'cell-histogram': cellHistogram,
  'cell-fourth-moments': cellFourthMoments,
  'sample-covariance': sampleCovariance,
  'sample-rows': sampleRows,
  neighbours,
  partitions,
  'null-partitions': nullPartitions,
  'start-partition': startPartition,
  memberships,
  'encoder-steps': encoderSteps,
  encode,
  'full-pass': fullPass,
};

/** Runs one task on one unit. A pure function of the states, the task and the unit's rows. */
export function runTask(context: Context, task: Task, unit: WorkUnit): Promise<Tensors> {
  return (TASK_FUNCTIONS[task.task] as TaskFunction<Task>)(context, task, unit);
}
