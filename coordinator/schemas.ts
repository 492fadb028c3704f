/** What config.ts takes of zod, by name: a bundle that loads it later gets no more. */
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
