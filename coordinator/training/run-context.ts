import type { Transform } from '../../data/transform.ts';
import type { Layout } from '../../model/layout.ts';
import type { Niw } from '../../model/niw.ts';
import type { Schedule } from '../../model/schedule.ts';
import type { Sample } from '../../model/state.ts';
import type { Emit, Likelihood } from '../../view/events.ts';
import type { RunConfig } from '../config.ts';
import type { Dispatcher } from '../scheduler/dispatcher.ts';
import type { Calculate } from './calculation/calculator.ts';
import type { GraphSource } from './graph/sample-graph.ts';
import type { Rounds } from './rounds.ts';

/** Everything that is fixed for a run once the moments are known. */
export interface Run {
  readonly config: RunConfig;
  readonly schedule: Schedule;
  readonly seed: bigint;
  readonly d: number;
  /** The prior with which the run begins. */
  readonly prior: Niw;
  /** D×D, of all rows after the transform. */
  readonly covariance: Float64Array;
  readonly layout: Layout;
  /** With which the run begins. */
  readonly sample: Sample;
  readonly transform: Transform;
  readonly likelihood: Likelihood;
  /** Why it has this likelihood; null: Gaussian, as it was not to be decided. */
  readonly why: string | null;
  /** The neighbour graphs of samples; null with another likelihood. */
  readonly graphs: GraphSource | null;
  readonly dispatcher: Dispatcher;
  readonly rounds: Rounds;
  readonly calculate: Calculate;
  readonly emit: Emit;
}
