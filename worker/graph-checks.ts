import { KEPT_MEMBERSHIPS } from '../model/graph/mean-field.ts';
import type { Graph } from '../model/graph/weights.ts';
import type { Layout } from '../model/layout.ts';
import type { Task, TaskOf } from '../proto/tasks.ts';
import { array, fits, must, tensor } from './state-checks.ts';
import type { States } from './states.ts';

/** The states of the graph likelihood have to fit each other and the task. */

const GRAPH_TASKS = [
  'sample-rows',
  'neighbours',
  'partitions',
  'null-partitions',
  'start-partition',
  'memberships',
] as const;
type GraphTask = TaskOf<(typeof GRAPH_TASKS)[number]>;

export const isGraphTask = (task: Task): task is GraphTask =>
  (GRAPH_TASKS as readonly string[]).includes(task.task);

/** Throws InvalidRound unless the task's states have the shapes that it expects. */
export function checkGraphTask(task: GraphTask, states: States, layout: Layout, d: number): void {
  if (task.task === 'sample-rows') return;
  if (task.task === 'null-partitions') {
    must(task.neighbours < task.rows, `${task.neighbours} neighbours among ${task.rows} rows`);
    fits(task.rows * Math.max(task.variances.length, task.neighbours));
    return;
  }
  const n = pointsIn(states, layout, d);
  if (task.task === 'neighbours') {
    must(task.k < n, `${task.k} neighbours among ${n} rows`);
    fits(n * task.k);
    return;
  }
  const graph = graphIn(states, n);
  switch (task.task) {
    case 'partitions':
      undirected(graph);
      fits(Math.ceil((task.resolutions.length * task.replicates) / layout.shards) * n);
      return;
    case 'start-partition':
      undirected(graph);
      return;
  }
}

/** Throws InvalidRound unless the states of the mean field fit each other and a net with k outputs. */
export function checkField(states: States, layout: Layout, d: number, k: number): void {
  const n = pointsIn(states, layout, d);
  graphIn(states, n);
  const clusters = membershipsIn(states, n);
  must(clusters === k, `memberships in ${clusters} clusters, not ${k}`);
}

/** The number of sample rows. */
function pointsIn(states: States, layout: Layout, d: number): number {
  const { shape } = tensor(states.get('points'), 'points', 'rows', 'float32');
  array(states, 'points', 'rows', 'float32', [shape[0], d]);
  array(states, 'points', 'starts', 'int32', [layout.shards + 1]);
  ascending(states, 'points', 'starts', shape[0]);
  return shape[0];
}

function graphIn(states: States, n: number): Graph {
  const { data } = tensor(states.get('graph'), 'graph', 'index', 'int32');
  array(states, 'graph', 'index', 'int32', [data.length]);
  array(states, 'graph', 'starts', 'int32', [n + 1]);
  ascending(states, 'graph', 'starts', data.length);
  array(states, 'graph', 'weight', 'float64', [data.length]);
  array(states, 'graph', 'degree', 'float64', [n]);
  array(states, 'graph', 'total', 'float64', [1]);
  within(data, n, 'graph: there is no such row');
  const { starts, index, weight } = states.get('graph');
  return { starts: starts.data, index: index.data, weight: weight.data } as Graph;
}

/** Rounding may take w + w′ − w·w′ above 1. */
const LARGEST_WEIGHT = 1 + 1e-9;

/** Each edge is there in both directions, with the same weight of at most 1: else a search for the best partition may not end. */
function undirected({ starts, index, weight }: Graph): void {
  const n = starts.length - 1;
  // Of each row the first edge whose other direction has not been met.
  const next = starts.slice(0, n);
  let isUndirected = true;
  for (let i = 0; i < n && isUndirected; i++)
    for (let e = starts[i], before = -1; e < starts[i + 1]; before = index[e++]) {
      const j = index[e];
      let isEdge = j > before && j !== i && weight[e] > 0 && weight[e] <= LARGEST_WEIGHT;
      if (j < i) isEdge &&= e < next[i];
      else {
        const back = next[j]++;
        isEdge &&= back < starts[j + 1] && index[back] === i && weight[back] === weight[e];
      }
      isUndirected &&= isEdge;
    }
  must(isUndirected, 'graph: its edges are not the same in both directions, with weights of up to 1');
}

/** The number of clusters. */
function membershipsIn(states: States, n: number): number {
  const shape = [n, KEPT_MEMBERSHIPS];
  array(states, 'memberships', 'cluster', 'int32', shape);
  array(states, 'memberships', 'share', 'float32', shape);
  const { length } = tensor(states.get('memberships'), 'memberships', 'volume', 'float64').data;
  array(states, 'memberships', 'volume', 'float64', [length]);
  within(states.get('memberships').cluster.data, length, 'memberships: there is no such cluster');
  return length;
}

/** Starts of lists, one after the other, that end at `end`. */
function ascending(states: States, state: string, name: string, end: number): void {
  const { data } = states.get(state)[name];
  let isSorted = data[0] === 0 && data[data.length - 1] === end;
  for (let i = 1; i < data.length; i++) if (data[i] < data[i - 1]) isSorted = false;
  must(isSorted, `${state}: ${name} does not ascend to ${end}`);
}

function within(data: ArrayLike<number>, end: number, problem: string): void {
  let isWithin = true;
  for (let i = 0; i < data.length; i++) if (!(data[i] >= 0 && data[i] < end)) isWithin = false;
  must(isWithin, problem);
}
