/** What `--transform` may be: how rows are moved and scaled before anything else. */
export type TransformChoice =
  | 'auto'
  | 'center'
  | 'none'
  | 'normalize'
  | 'standard'
  | 'min-max'
  | 'min-max-global'
  | `pca:${number}`;

/** Is it `pca:<d>` or `pca:<share>`? */
export const isPca = (choice: TransformChoice) => choice.startsWith('pca:');

/** The number of axes d of `pca:<d>`; null for the other choices. */
export const pcaAxes = (choice: TransformChoice) => pcaNumber(choice, (number) => number >= 1);

/** The share of the variance, below 1, that is to be on the axes of `pca:<share>`, such as pca:0.95; null for the other choices. */
export const pcaShare = (choice: TransformChoice) => pcaNumber(choice, (number) => number < 1);

const pcaNumber = (choice: TransformChoice, isIts: (number: number) => boolean): number | null =>
  isPca(choice) && isIts(Number(choice.slice(4))) ? Number(choice.slice(4)) : null;
