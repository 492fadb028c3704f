/**
 * What pieces of a run cost, for `plan.ts`: seconds of a core of the machine of docs/scale.md, which has where each is from. `npm run bench -- scale-costs`
 * prints them anew.
 */
export const COSTS = {
  /** Until all processes have started, joined and compiled their code. */
  start: 1.5,
  /** A worker, in the first pass: of a value; of a product of two values of a row. */
  readValue: 7.3e-9,
  readProduct: 2.5e-10,
  /** The coordinator, where the axes of many columns are looked for: of a pair of columns. */
  axesPair: 7e-6,
  /** A worker, in training with the graph: of a sampled row. */
  graphRow: 7.1e-4,
  /** The coordinator, in training: of an epoch, and in it of a number of the statistics of all clusters; with the graph of a sampled row. */
  epoch: 0.021,
  epochNumber: 3.1e-7,
  graphRowJoined: 1.5e-4,
  /** A worker, in the last pass, beside matrix products: of a row; of a value. */
  labelRow: 7.8e-7,
  labelValue: 2e-8,
  /** The coordinator: of a row's results as they arrive; of a row of the files afterwards; of the rest of the files. */
  resultRow: 3.3e-7,
  fileRow: 6.3e-7,
  /** The same of a row of labels in parts. */
  partRow: 3e-7,
  indexRow: 5e-8,
  finish: 1,
  /** A round of an encoder beside steps and bytes; the coordinator, of a byte that it sends or receives. */
  encoderRound: 0.3,
  byte: 2.5e-9,
  /** Operations a second that a core reaches in matrix products; of them in training, for a sampled row, an epoch, a cluster and a number of its statistics. */
  coreOperations: 2.7e10,
  trainOperations: 3,
};
