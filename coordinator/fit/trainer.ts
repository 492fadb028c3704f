import { inSlices } from '../../base/slices.ts';
import { fromRaw, modelRows, type Transform } from '../../data/transform.ts';
import { centresOf } from '../../model/description/distances.ts';
import { mStep } from '../../model/gaussian/mstep.ts';
import type { Niw } from '../../model/gaussian/niw.ts';
import { forNets, type MapNet, placesOnMap } from '../../model/graph/map-net.ts';
import { mapNetOf } from '../../model/graph/map-training.ts';
import type { Layout } from '../../model/layout.ts';
import type { MissedCluster } from '../../model/missed.ts';
import { type Change, weightSmoothing } from '../../model/schedule.ts';
import { accuracy, ari, type Contingency, nmi, silhouette } from '../../model/scores.ts';
import { labelsByMixture, type State } from '../../model/state.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { RunConfig } from '../../run/config.ts';
import type { DataMoments } from '../../run/data-moments.ts';
import type { FullPassResult } from '../../run/descriptions.ts';
import type { Encoding } from '../../run/encoding.ts';
import type { Likelihood } from '../../run/events.ts';
import { describeClusters, namesOfClusters } from '../../run/passes/describe.ts';
import { type TextsInput, termsOfParts } from '../../run/passes/describe-texts.ts';
import { driftBetween, explainedRows, unchangedSince } from './drift.ts';
import { clustersOf, reconstructionErrors } from './encoder/encoder.ts';
import { encoderEpoch } from './encoder/train-encoder.ts';
import { initialState, labellingState, runEpoch } from './epoch.ts';
import type { Reviewed } from './full-pass.ts';
import { resultTree } from './full-pass-results.ts';
import { componentsOfRows, type EarlierClusters, withClusters } from './gaussian/combine.ts';
import { farBounds, findMissed, withMissed } from './missed.ts';
import { type PrepareInput, type Preparing, prepareUpdate, type Unchanged } from './preparation/prepare.ts';
import { prepareByClusters } from './preparation/reconsider.ts';
import { flatClusterError, publishNet } from './publish.ts';
import type { MomentsRequest } from './reading/moments.ts';
import { setOutliersApart } from './reading/outliers.ts';
import { replicate } from './replicates.ts';
import { type Before, type Prepared, runBy, type TrainingRun } from './run-context.ts';
import { takeStep } from './train.ts';

/**
 * What a run computes of clusters and encoder. It has a thread of its own (start-trainer.ts), so that nothing here, however long it takes, holds up
 * sockets and page. The run's state is the recipe's: each call is given what it works on and returns what it has found. What stays here is what
 * `prepare` has fixed for the training, and texts while they are counted.
 */

/** What the training has done by the main thread, which has the sockets, the files and the page. */
export type TrainerHost = Preparing;

/** Functions of their arguments alone. */
const computations = {
  drift: driftBetween,
  explained: explainedRows,
  componentsOf: componentsOfRows,
  unchanged: unchangedSince,
  reconstructionErrors,
  names: namesOfClusters,
  describe: describeClusters,
  centresOf,
  silhouette,
  scores: (table: Contingency) => ({ nmi: nmi(table), ari: ari(table), acc: accuracy(table) }),
  /**
   * The net of the map that has learned where rows, as they are in the file, were laid out; or with `before` where that net places
   * them, which gets them after its own transform.
   */
  async mapNet(transform: Transform, rows: Float32Array, before?: { net: MapNet; transform: Transform }) {
    const known = before && placesOnMap(before.net, fromRaw(before.transform, rows));
    const own = modelRows(transform, fromRaw(transform, rows));
    return forNets(await inSlices(mapNetOf(own, transform.dim, known)), transform.scale);
  },
};

type Later<Functions> = {
  [Name in keyof Functions]: Functions[Name] extends (...of: infer Of) => infer Result
    ? (...of: Of) => Promise<Awaited<Result>>
    : never;
};

/** The same functions, whose results are promised. */
const later = <Functions extends object>(functions: Functions) =>
  Object.fromEntries(
    Object.entries(functions).map(([name, compute]) => [
      name,
      async (...of: unknown[]) => (compute as (...of: unknown[]) => unknown)(...of),
    ]),
  ) as Later<Functions>;

export function createTrainer(host: TrainerHost) {
  let run: TrainingRun;
  let terms: ReturnType<typeof termsOfParts> | null = null;
  const stopping = new AbortController();
  function prepared(next: TrainingRun): Prepared {
    run = next;
    const { likelihood, dispatcher, rounds, emit, ...rest } = run;
    return { ...rest, likelihood: { name: likelihood.name, initK: likelihood.initK } };
  }
  const named = (error: unknown): never => {
    throw flatClusterError(run.config, error);
  };
  return {
    ...later(computations),
    setOutliersApart: (request: Omit<MomentsRequest, 'origin'>, data: DataMoments): Promise<DataMoments> =>
      setOutliersApart({ ...request, dispatcher: host }, data),
    /** `known`: the likelihood that an earlier session has decided on. */
    async prepare(input: PrepareInput, data: DataMoments, known: Likelihood | null): Promise<Prepared> {
      return prepared(await prepareByClusters(input, host, data, known));
    },
    async prepareUpdate(same: Unchanged, data: DataMoments): Promise<Prepared> {
      return prepared(prepareUpdate(same, host, data));
    },
    /** The clusters before the first epoch. */
    async start(): Promise<State> {
      const state = await initialState(run);
      publishNet(run, state.net);
      return state;
    },
    /** The clusters with which an update begins, given those before. */
    async goOn(from: State, before: Before): Promise<State> {
      const { sample, schedule } = run;
      const { patience, every: untilStep } = schedule;
      publishNet(run, from.net);
      const idle = { loss: null, lossSinceChange: null, frozen: 0, untilStep };
      const ready = { ...from, ...idle, epoch: 0, sample, patience, merged: [], steps: [] };
      return takeStep(run, ready, before).catch(named);
    },
    /** Workers get the net of a checkpoint. */
    async resume({ net }: State): Promise<void> {
      publishNet(run, net);
    },
    epoch: (state: State) => runEpoch(run, state).catch(named),
    step: (state: State, kind: Change | 'join') => takeStep(run, state, kind).catch(named),
    /** The state that labels rows, with the components of each cluster. */
    clusters: async (trained: State, earlier?: EarlierClusters): Promise<State> =>
      withClusters(run, await labellingState(run, trained), earlier).catch(named),
    tree: (numbered: State, found: Pick<FullPassResult, 'T' | 'counts'>) =>
      resultTree(runBy(run, labelsByMixture(run.config.schedule, numbered)), numbered, found),
    replicate: (sample: Parameters<typeof replicate>[1]) =>
      replicate(run, sample, stopping.signal).catch(named),
    /** Ends the replicates before their next epoch. */
    async stopReplicates(): Promise<void> {
      stopping.abort();
    },
    encoderEpoch: (config: RunConfig, layout: Layout, encoding: Encoding) =>
      encoderEpoch({ config, layout, dispatcher: host }, encoding),
    async latentClusters(rows: Float32Array, trained: State) {
      return clustersOf(rows, run.transform, run.config.schedule, await labellingState(run, trained));
    },
    /** From now on the terms of texts of so many clusters are added. */
    async beginTerms(k: number): Promise<void> {
      terms = termsOfParts(k);
    },
    async addTerms(part: Tensors): Promise<void> {
      terms!.add(part);
    },
    async describeTexts(input: TextsInput) {
      const described = terms!.describe(input);
      terms = null;
      return described;
    },
    /** The mixture of clusters with these statistics of all rows. */
    mixtureOf: async (prior: Niw, T: Float64Array[]) => mStep(prior, T, weightSmoothing(run.config.schedule)),
    farBounds: async (trained: State) => farBounds(run, trained),
    findMissed: async (trained: State, { T, far }: Reviewed) => findMissed(run, trained, T, far),
    withMissed: async (trained: State, { T }: Reviewed, missed: MissedCluster[]) =>
      withMissed(run, trained, T, missed),
  };
}

export type Trainer = ReturnType<typeof createTrainer>;
