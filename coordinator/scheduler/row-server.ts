import type { FromCoordinator } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Counts } from './counts.ts';
import type { FetchMessage } from './router.ts';

export interface RowServerOptions {
  /** Columns of the rows. */
  dim: number;
  readBlocks: (blocks: number[]) => Promise<Float32Array>;
  /** Resolves when the message was handed to the socket. */
  send(peer: string, message: FromCoordinator, tensors?: Tensors): Promise<void>;
  counts: Counts;
}

/** Requests in flight per connection. */
const MAX_FETCHES = 16;

/** Reads rows for workers that cannot read the data file. */
export class RowServer {
  readonly #options: RowServerOptions;
  /** Number of requests in flight, by connection. */
  readonly #inFlight = new Map<string, number>();

  constructor(options: RowServerOptions) {
    this.#options = options;
  }

  /** Responds with the rows, or with a `problem`. */
  async serve(peer: string, { request, blocks }: FetchMessage): Promise<void> {
    const { dim, readBlocks, send, counts } = this.#options;
    const response = { type: 'rows' as const, request, blocks };
    const inFlight = this.#inFlight.get(peer) ?? 0;
    if (inFlight >= MAX_FETCHES) {
      counts.fetchesRefused++;
      return send(peer, { ...response, problem: `more than ${MAX_FETCHES} requests at once` });
    }
    this.#inFlight.set(peer, inFlight + 1);
    try {
      const rows = await readBlocks(blocks);
      await send(peer, response, { rows: { shape: [rows.length / dim, dim], data: rows } });
    } catch (error) {
      await send(peer, { ...response, problem: (error as Error).message.slice(0, 4000) });
    } finally {
      const left = this.#inFlight.get(peer)! - 1;
      if (left) this.#inFlight.set(peer, left);
      else this.#inFlight.delete(peer);
    }
  }
}
