import * as z from 'zod/mini';
import { layoutProblem } from '../model/layout.ts';

const count = z.int().check(z.nonnegative());

/** How rows are divided into blocks, and blocks assigned to shards (model/layout.ts). */
export const layout = z
  .object({
    rows: count,
    dim: count,
    shards: count,
    blockRows: count,
    seed: z.string().check(z.regex(/^\d{1,20}$/)),
  })
  .check(z.refine((value) => layoutProblem(value) === null));
