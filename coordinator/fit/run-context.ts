import type { Transform } from '../../data/transform.ts';
import type { Niw } from '../../model/gaussian/niw.ts';
import type { ClusterHalves, ComponentTree, Join } from '../../model/hierarchy/dendrogram.ts';
import type { Layout } from '../../model/layout.ts';
import type { Seed } from '../../model/random.ts';
import type { Change, Schedule } from '../../model/schedule.ts';
import type { GraphState, Parts, Sample, State } from '../../model/state.ts';
import type { RunConfig } from '../../run/config.ts';
import type { Emit, Likelihood as LikelihoodName } from '../../run/events.ts';
import { createRounds, type Rounds } from '../../tasks/cells/ask.ts';
import type { TaskOf } from '../../tasks/table.ts';
import type { RoundDispatcher } from '../rounds/dispatcher.ts';
import { shardSizes } from '../rounds/sums.ts';

/** What is fixed for the training of clusters once their rows are read. */
export interface Prepared {
  readonly config: RunConfig;
  readonly schedule: Schedule;
  readonly seed: Seed;
  readonly d: number;
  /** The prior with which the run begins. */
  readonly prior: Niw;
  /** D×D, of all rows after the transform. */
  readonly covariance: Float64Array;
  readonly layout: Layout;
  /** The sample with which the run begins. */
  readonly sample: Sample;
  readonly transform: Transform;
  /** In an update: rows of the whole stream, from which the sample is drawn; by the graph likelihood the sum of their weights. Undefined: only those of the layout. */
  readonly seen?: number;
  readonly likelihood: Pick<LikelihoodModel, 'name' | 'initK'>;
  /** In training, rows go to clusters by the mixture: the clustering net does not train. */
  readonly byMixture: boolean;
  /** Why it has this likelihood; null: Gaussian, as it was not to be decided. */
  readonly why: string | null;
  /** What to say of values that continuous columns have exactly in a few of the rows, as where missing ones were imputed; null: none have. */
  readonly unknown: string | null;
}

/** The same with what training computes by. */
export interface TrainingRun extends Prepared {
  readonly likelihood: LikelihoodModel;
  readonly dispatcher: RoundDispatcher;
  /** The replicate that trains on a half of the sample, from 1. */
  readonly half?: number;
  readonly rounds: Rounds;
  readonly emit: Emit;
  /** In the first step of an update: clusters that a search for splits would find as the last one left them. */
  readonly unchanged?: readonly boolean[];
}

/** The run, in which rows go to clusters by the mixture if `byMixture`. */
export function runBy(run: TrainingRun, byMixture: boolean): TrainingRun {
  if (run.byMixture || !byMixture) return run;
  const { dispatcher, layout, d, config } = run;
  const rounds = createRounds(dispatcher, shardSizes(layout), d, config.covariance, true);
  return { ...run, byMixture: true, rounds };
}

/** Of so many clusters, training sub-nets and sending them takes longer than a pass of EM over the sample. */
const MOST_SUB_NETS = 64;

/** Do sub-nets train? Of many clusters to which rows go by the mixture, sub-clusters begin with halves along their principal axes. */
export const hasSubNets = ({ byMixture }: Pick<Prepared, 'byMixture'>, k: number): boolean =>
  !byMixture || k <= MOST_SUB_NETS;

/**
 * What a mixture of Gaussians (gaussian/) and the graph of nearest neighbours (graph/) do each in their own way. Nets, epochs, pace,
 * settling, numbering and the full pass are the same for both and ask nothing else.
 */
export interface LikelihoodModel {
  readonly name: LikelihoodName;
  /** Clusters with which a run begins. */
  readonly initK: number;
  start(run: TrainingRun): Promise<Start>;
  /** Publishes what the clustering net learns from in an epoch that begins with this state. */
  target(run: TrainingRun, state: State): Promise<Target>;
  /** Statistics of two sub-clusters of each cluster, which the sub-nets learn to tell apart. */
  subTargets(run: TrainingRun, state: State): Promise<Parts[]>;
  /** Is the mixture estimated anew in this epoch? */
  isMStepDue(state: State): boolean;
  /** The first step of an update, of a state that was trained on other rows, before anything moves. */
  goOn(run: TrainingRun, state: State, before: Before): Promise<State>;
  /** A split or merge step: the state with other clusters, and nets that follow. */
  step(run: TrainingRun, state: State, change: Change): Promise<State>;
  /** A merge step for `--clusters`, once training has settled on more: a cut of the tree of merges, whatever the data say. */
  join(run: TrainingRun, state: State, clusters: number): Promise<State>;
  /** What the heights of the tree of merges are, in words, and whether they rise or fall away from the root. */
  readonly heights: { readonly measure: string; readonly order: 'rising' | 'falling' };
  /** The tree of the first so many clusters; T: their statistics of all rows. NotPositiveDefiniteError where clusters are too flat. */
  levels(run: TrainingRun, state: State, T: Float64Array[], clusters: number): Promise<Levels>;
  /** The same of another sample with so many rows in each shard, as that of a replicate. */
  ofSample(run: TrainingRun): LikelihoodModel;
}

/** What a run with this likelihood is made of, once its rows are known. */
export interface LikelihoodKind {
  /** The config with which its mixture is estimated. Warns of options without effect; UserError where rows do not suit it. */
  configure(given: RunConfig, rows: number, d: number, warn: (message: string) => void): RunConfig;
  /** Do rows of d columns go to clusters by the mixture in training, not by the clustering net? */
  byMixture(config: RunConfig, d: number): boolean;
  create(run: Omit<TrainingRun, 'likelihood'>): LikelihoodModel;
}

/** What an update knows of the clusters that it begins with. */
export interface Before {
  /** Of each row of the sample, in the order of the file, the cluster that it had, −1 if it is new, −2 if it is an outlier. */
  clusters: Int32Array;
  /** Which clusters a search for splits would find as the last one left them. */
  unchanged: readonly boolean[];
}

/** How a run begins. */
export interface Start {
  sample: Sample;
  /** Centres of the first clusters. */
  centres: Float64Array[];
  /** Epochs until the first step. */
  untilStep: number;
  /** Hidden units of the clustering net, unless the config says otherwise. */
  hidden: number[];
  graph?: GraphState;
}

/** The target of the clustering net, as the task `cluster-steps` has it. */
export type Target = Pick<TaskOf<'cluster-steps'>, 'form' | 'field'>;

/** The joins above the clusters, and what is below these. */
export interface Levels {
  joins: Join[];
  /** The sub-clusters of each; null without any that a split step could propose. */
  halves: (ClusterHalves | null)[];
  /** How components join within clusters of several. */
  components?: ComponentTree[];
}
