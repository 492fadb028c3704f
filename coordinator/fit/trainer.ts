import { inSlices } from '../../base/slices.ts';
import { fromRaw, modelRows, type Transform } from '../../data/transform.ts';
import { concat } from '../../model/arrays.ts';
import { centresOf } from '../../model/description/distances.ts';
import type { Niw } from '../../model/gaussian/niw.ts';
import { forNets, type MapNet, mapNetOf, placesOnMap } from '../../model/graph/map-net.ts';
import { wholeShapes } from '../../model/graph/whole-shapes.ts';
import type { Layout } from '../../model/layout.ts';
import type { MissedCluster } from '../../model/missed.ts';
import { type Mixture, mStep } from '../../model/mixture.ts';
import { weightSmoothing } from '../../model/schedule.ts';
import { accuracy, ari, type Contingency, nmi, silhouette } from '../../model/scores.ts';
import { labelsByMixture, type State } from '../../model/state.ts';
import { explained, likeliest, unchangedClusters } from '../../model/stream/drift.ts';
import {
  type DescriptionInput,
  describeClusters,
  type NamingInput,
  namesOfClusters,
} from '../../passes/describe.ts';
import { type TextsInput, termsOfParts } from '../../passes/describe-texts.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { RunConfig } from '../../run/config.ts';
import type { DataMoments } from '../../run/data-moments.ts';
import type { FullPassResult } from '../../run/descriptions.ts';
import type { Encoder, Encoding } from '../../run/encoding.ts';
import type { Likelihood } from '../../run/events.ts';
import { driftBetween } from './drift.ts';
import { clustersOf, reconstructionErrors } from './encoder/encoder.ts';
import { encoderEpoch } from './encoder/train-encoder.ts';
import { initialState, labellingState } from './epoch.ts';
import { type Reviewed, resultTree } from './full-pass.ts';
import { farBounds, findMissed, withMissed } from './missed.ts';
import { type PrepareInput, type Preparing, prepareUpdate, type Unchanged } from './preparation/prepare.ts';
import { prepareByClusters } from './preparation/reconsider.ts';
import type { MomentsRequest } from './reading/moments.ts';
import { setOutliersApart } from './reading/outliers.ts';
import { replicate } from './replicates.ts';
import type { Before, Prepared, TrainingRun } from './run-context.ts';
import { runBy, type Training, trainingOf } from './train.ts';

/** What the training has done by the main thread, which has the sockets, the files and the page. */
export type TrainerHost = Preparing;

/**
 * What a run computes of clusters and encoder, with one set of clusters in training at a time; only labels and latent vectors of all rows
 * pass through the main thread to their files. It has a thread of its own (start-trainer.ts), so that nothing here, however long it
 * takes, holds up sockets and page.
 */
export function createTrainer(host: TrainerHost) {
  let run: TrainingRun;
  let training: Training;
  let state: State;
  let terms: ReturnType<typeof termsOfParts> | null = null;
  const stopping = new AbortController();
  function prepared(next: TrainingRun): Prepared {
    run = next;
    training = trainingOf(run);
    const { likelihood, dispatcher, rounds, emit, ...rest } = run;
    return { ...rest, likelihood: { name: likelihood.name, initK: likelihood.initK } };
  }
  return {
    setOutliersApart: (request: Omit<MomentsRequest, 'origin'>, data: DataMoments): Promise<DataMoments> =>
      setOutliersApart({ ...request, dispatcher: host }, data),
    /** `known`: the likelihood that an earlier session has decided on. */
    async prepare(input: PrepareInput, data: DataMoments, known: Likelihood | null): Promise<Prepared> {
      return prepared(await prepareByClusters(input, host, data, known));
    },
    async prepareUpdate(same: Unchanged, data: DataMoments): Promise<Prepared> {
      return prepared(prepareUpdate(same, host, data));
    },
    /** The clusters before the first epoch, which are trained from now on. */
    async start(): Promise<State> {
      state = await initialState(run);
      return state;
    },
    /** As of drift.ts. */
    drift: async (...of: Parameters<typeof driftBetween>) => driftBetween(...of),
    /** The clusters that explain rows, as they are in the file; −1 of those that none explains. */
    explained: async (transform: Transform, { mixture, prior }: State, rows: Float32Array) =>
      explained(mixture, prior, modelRows(transform, fromRaw(transform, rows))),
    /**
     * Which clusters are as the last search for splits left them: by the rows of the sample, as they are in the file, the cluster of each, −1 of those
     * that have none yet, the update that it has come with, and those in which clusters were searched.
     */
    async unchanged(
      transform: Transform,
      { mixture, prior }: State,
      rows: Float32Array,
      labels: Int32Array,
      since: Int32Array,
      looked: readonly number[],
    ): Promise<boolean[]> {
      const own = modelRows(transform, fromRaw(transform, rows));
      const fresh = [...labels.keys()].filter((row) => labels[row] < 0);
      const d = mixture.d;
      const found = likeliest(
        mixture,
        prior,
        concat(
          fresh.map((row) => own.subarray(row * d, (row + 1) * d)),
          Float32Array,
        ),
      );
      const all = labels.slice();
      for (const [i, row] of fresh.entries()) all[row] = found[i];
      const isNew = Array.from(all, (label, row) => since[row] > looked[label]);
      return unchangedClusters(mixture, prior, own, all, isNew);
    },
    /** The clusters with which an update begins, given those before; they are trained from now on. */
    async update(from: State, before: Before): Promise<State> {
      const { sample, schedule } = run;
      const idle = { loss: null, lossSinceChange: null, frozen: 0, untilStep: schedule.every };
      const { patience } = schedule;
      const ready = { ...from, ...idle, epoch: 0, sample, patience, merged: [], steps: [] };
      state = await training.goOn(ready, before);
      return state;
    },
    /** From now on these clusters are trained. */
    async resume(from: State): Promise<void> {
      state = from;
    },
    /** As of Training (train.ts), of the clusters that are trained. */
    async epoch(): ReturnType<Training['epoch']> {
      const trained = await training.epoch(state);
      state = trained?.state ?? state;
      return trained;
    },
    async change(isAfterEpoch: boolean): Promise<State | null> {
      const changed = await training.change(state, isAfterEpoch);
      state = changed ?? state;
      return changed;
    },
    /** As of epoch.ts. */
    labelling: (trained: State): Promise<State> => labellingState(run, trained),
    tree: (numbered: State, found: Pick<FullPassResult, 'T' | 'counts'>) =>
      resultTree(runBy(run, labelsByMixture(run.config.schedule, numbered)), numbered, found),
    replicate: (sample: Parameters<typeof replicate>[1]) => replicate(run, sample, stopping.signal),
    /** Ends the replicates before their next epoch. */
    async stopReplicates(): Promise<void> {
      stopping.abort();
    },
    encoderEpoch: (config: RunConfig, layout: Layout, encoding: Encoding) =>
      encoderEpoch({ config, layout, dispatcher: host }, encoding),
    reconstructionErrors: async (encoder: Encoder, rows: Float32Array) => reconstructionErrors(encoder, rows),
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
    names: async (input: NamingInput) => namesOfClusters(input),
    describe: async (input: DescriptionInput) => describeClusters(input),
    /** The mixture of clusters with these statistics of all rows. */
    mixtureOf: async (prior: Niw, T: Float64Array[]) => mStep(prior, T, weightSmoothing(run.config.schedule)),
    centresOf: async (mixture: Mixture) => centresOf(mixture),
    farBounds: async (trained: State) => farBounds(run, trained),
    findMissed: async (trained: State, { T, far }: Reviewed) => findMissed(run, trained, T, far),
    withMissed: async (trained: State, { T }: Reviewed, missed: MissedCluster[]) =>
      withMissed(run, trained, T, missed),
    /**
     * The net of the map that has learned where rows, as they are in the file, were laid out; or with `before` where that net places
     * them, which gets them after its own transform.
     */
    async mapNet(transform: Transform, rows: Float32Array, before?: { net: MapNet; transform: Transform }) {
      const known = before && placesOnMap(before.net, fromRaw(before.transform, rows));
      const own = modelRows(transform, fromRaw(transform, rows));
      return forNets(await inSlices(mapNetOf(own, transform.dim, known)), transform.scale);
    },
    silhouette: async (rows: Float32Array, d: number, labels: number[]) => silhouette(rows, d, labels),
    wholeShapes: async (rows: Float32Array, d: number) => wholeShapes(rows, d, run.seed),
    scores: async (table: Contingency) => ({ nmi: nmi(table), ari: ari(table), acc: accuracy(table) }),
  };
}

export type Trainer = ReturnType<typeof createTrainer>;
