import type { IncomingMessage } from 'node:http';
import { UserError } from '../../base/user-error.ts';

/** The bodies of requests, within limits. */

/** A UserError that is answered with this status. */
export const refusal = (statusCode: number, message: string) =>
  Object.assign(new UserError(message), { statusCode });

/** Bytes of one. */
const MOST_BYTES = 64 << 20;

/** Bytes of a piece in which a body is kept. */
const PIECE_BYTES = 1 << 18;
/** Pieces that no body has any more. Used again, as memory that waits for the garbage collector comes on top of what is in use;
 * no more than there is room for beside that. */
const unused: Buffer[] = [];

/** Counts the bytes that requests hold together. */
export function createBudget(most: number) {
  let held = 0;
  return {
    /** For a request: what it takes is free again once its client is `gone` and its work is `done`. */
    open() {
      let [own, users] = [0, 2];
      let isGone = false;
      const release = () => {
        if (--users) return;
        held -= own;
      };
      return {
        /** An error where there is no room, or nobody who waits for it. */
        take(bytes: number): void {
          if (isGone) throw refusal(400, 'the client has gone');
          if (held + bytes > most)
            throw refusal(503, 'the server has too much to do: try it again in a second');
          held += bytes;
          own += bytes;
          unused.length = Math.min(unused.length, Math.floor((most - held) / PIECE_BYTES));
        },
        gone(): void {
          isGone = true;
          release();
        },
        done: release,
      };
    },
  };
}

export interface Body {
  readonly length: number;
  /** A copy of some of its bytes. */
  copy(from: number, to: number): Buffer<ArrayBuffer>;
  /** Others may have its memory from now on. */
  free(): void;
}

/**
 * Collects bytes, in pieces of one size: what arrives may be single bytes, each of which would take a hundred as a buffer of its own. `length`: of the
 * whole, where that is known.
 */
export function collectBody(length = Number.POSITIVE_INFINITY) {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const nextPiece = () => {
    const size = Math.min(PIECE_BYTES, length - bytes);
    return (size === PIECE_BYTES && unused.pop()) || Buffer.allocUnsafeSlow(size);
  };
  const free = () => {
    for (const piece of pieces.splice(0)) if (piece.length === PIECE_BYTES) unused.push(piece);
  };
  return {
    add(chunk: Buffer): void {
      for (let from = 0; from < chunk.length; ) {
        const at = bytes % PIECE_BYTES;
        if (!at) pieces.push(nextPiece());
        const copied = chunk.copy(pieces.at(-1)!, at, from);
        from += copied;
        bytes += copied;
      }
    },
    free,
    body: (): Body => ({
      length: bytes,
      copy(from, to) {
        const out = Buffer.allocUnsafeSlow(to - from);
        for (let at = from; at < to; ) {
          const begin = at % PIECE_BYTES;
          at += pieces[Math.floor(at / PIECE_BYTES)].copy(out, at - from, begin, begin + to - at);
        }
        return out;
      },
      free,
    }),
  };
}

/** The body of a request. `take`: called for each piece. What is beyond a limit is read, but not kept, as clients look for an answer when they have sent all. */
export function readBody(request: IncomingMessage, take: (bytes: number) => void): Promise<Body> {
  const tooLong = () => refusal(413, `the body has more than ${MOST_BYTES} bytes: send fewer rows at a time`);
  const cutShort = () => refusal(400, 'the body ended early: send it again');
  const header = request.headers['content-length'];
  const length = header === undefined ? undefined : Number(header);
  return new Promise((resolve, reject) => {
    const collected = collectBody(length);
    let [bytes, hasArrived] = [0, false];
    const refuse = (error: Error) => {
      request.off('data', add).resume();
      collected.free();
      reject(error);
    };
    const add = (chunk: Buffer) => {
      bytes += chunk.length;
      try {
        if (bytes > MOST_BYTES) throw tooLong();
        take(chunk.length);
        collected.add(chunk);
      } catch (error) {
        refuse(error as Error);
      }
    };
    if (length !== undefined && length > MOST_BYTES) return refuse(tooLong());
    if (request.destroyed) return refuse(cutShort());
    request.on('data', add);
    request.once('end', () => {
      hasArrived = true;
      resolve(collected.body());
    });
    for (const event of ['close', 'error']) request.once(event, () => hasArrived || refuse(cutShort()));
  });
}
