import { UserError } from '../base/user-error.ts';
import type { FromCoordinator } from '../proto/messages.ts';
import type { Tensors } from '../proto/tensors.ts';

/** The coordinator's term has ended, so these rows will not come. Not reported as a failure. */
export class Superseded extends Error {}

/** The pending requests for rows over the wire. */
export interface Fetches {
  /** Requests the rows of these blocks, `length` numbers in all. UserError if the coordinator cannot read them. */
  ask(blocks: number[], length: number): Promise<Float32Array>;
  /** Handles an answer. False if it was not requested or has the wrong length. */
  answered(answer: Extract<FromCoordinator, { type: 'rows' }>, tensors: Tensors): boolean;
  /** Repeats all requests, on a new connection. */
  repeat(): void;
  /** Rejects all pending requests as Superseded. */
  drop(): void;
}

export function createFetches(send: (request: number, blocks: number[]) => void): Fetches {
  interface Fetch {
    blocks: number[];
    length: number;
    resolve: (rows: Float32Array) => void;
    reject: (error: Error) => void;
  }
  const waiting = new Map<number, Fetch>();
  let requests = 0;
  return {
    ask(blocks, length) {
      const request = requests++;
      send(request, blocks);
      return new Promise((resolve, reject) => waiting.set(request, { blocks, length, resolve, reject }));
    },
    answered({ request, problem }, tensors) {
      const fetch = waiting.get(request);
      const rows = tensors.rows?.data;
      const fits = rows instanceof Float32Array && rows.length === fetch?.length;
      if (!fetch || !(problem || fits)) return false;
      waiting.delete(request);
      if (problem) fetch.reject(new UserError(problem));
      else fetch.resolve(rows as Float32Array);
      return true;
    },
    repeat() {
      for (const [request, { blocks }] of waiting) send(request, blocks);
    },
    drop() {
      for (const { reject } of waiting.values()) reject(new Superseded());
      waiting.clear();
    },
  };
}
