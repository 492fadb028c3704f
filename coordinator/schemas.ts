/** What config.ts uses of zod, exported by name so that the bundle contains nothing else of it. */
export {
  boolean,
  custom,
  enum,
  gt,
  gte,
  nullable,
  number,
  pipe,
  refine,
  string,
  transform,
} from 'zod/mini';
