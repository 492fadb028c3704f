/**
 * What pieces of a run cost, for `plan.ts`: seconds of a core of the machine of docs/scale.md, which has where each is from. `npm run bench -- scale-costs`
 * prints them anew.
 */
export const COSTS = {
  /** Until all processes have started, joined and compiled their code. */
  start: 1.5,
  /** A worker, in the first pass: of a value; of a product of two values of a row. */
  readValue: 1.25e-8,
  readProduct: 2.5e-10,
  /** The coordinator, where the axes of many columns are looked for: of a pair of columns. */
  axesPair: 5.5e-6,
  /** A worker, in training with the graph: of a sampled row. */
  graphRow: 8.3e-4,
  /** The coordinator, in training: of an epoch, and in it of a number of the statistics of all clusters; with the graph of a sampled row. */
  epoch: 0.027,
  epochNumber: 1.1e-6,
  graphRowJoined: 1.7e-4,
  /** A worker, in the last pass, beside matrix products: of a row; of a value. */
  labelRow: 3.2e-6,
  labelValue: 1.9e-8,
  /** The coordinator: of a row's results as they arrive; of a row of the files afterwards; of the rest of the files. */
  resultRow: 9e-7,
  fileRow: 5.5e-7,
  finish: 1,
  /** A round of an encoder beside steps and bytes; the coordinator, of a byte that it sends or receives. */
  encoderRound: 0.3,
  byte: 2.5e-9,
  /** Operations a second that a core reaches in matrix products; of them in training, for a sampled row, an epoch, a cluster and a number of its statistics. */
  coreOperations: 2.7e10,
  trainOperations: 3.5,
};
