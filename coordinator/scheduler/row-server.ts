import type { FromCoordinator } from '../../proto/messages.ts';
import type { Tensors } from '../../proto/tensors.ts';
import type { Counts } from './counts.ts';
import type { Fetch } from './router.ts';

export interface RowServerOptions {
  /** Columns of the rows. */
  dim: number;
  readBlocks: (blocks: number[]) => Promise<Float32Array>;
  /** Resolves when the message was handed on. */
  send(peer: string, message: FromCoordinator, tensors?: Tensors): Promise<void>;
  counts: Counts;
}

/** Blocks that one connection may have asked for and not got yet. */
const MOST_FETCHES = 16;

/** Reads rows for workers that do not see the file. */
export class RowServer {
  readonly #options: RowServerOptions;
  /** Requests under way, by connection. */
  readonly #underWay = new Map<string, number>();

  constructor(options: RowServerOptions) {
    this.#options = options;
  }

  /** Answers with the rows, or with why there are none. */
  async serve(peer: string, { request, blocks }: Fetch): Promise<void> {
    const { dim, readBlocks, send, counts } = this.#options;
    const answer = { type: 'rows' as const, request, blocks };
    const underWay = this.#underWay.get(peer) ?? 0;
    if (underWay >= MOST_FETCHES) {
      counts.fetchesRefused++;
      return send(peer, { ...answer, problem: `more than ${MOST_FETCHES} requests at once` });
    }
    this.#underWay.set(peer, underWay + 1);
    try {
      const rows = await readBlocks(blocks);
      await send(peer, answer, { rows: { shape: [rows.length / dim, dim], data: rows } });
    } catch (error) {
      await send(peer, { ...answer, problem: (error as Error).message.slice(0, 4000) });
    } finally {
      const left = this.#underWay.get(peer)! - 1;
      if (left) this.#underWay.set(peer, left);
      else this.#underWay.delete(peer);
    }
  }
}
