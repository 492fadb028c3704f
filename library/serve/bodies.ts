import type { IncomingMessage } from 'node:http';
import { refusal } from './protocol.ts';

/** The bodies of requests, within limits. */

/** Bytes of one. */
const MOST_BYTES = 64 << 20;

/** Counts the bytes that requests hold together. */
export function createBudget(most: number) {
  let held = 0;
  return {
    /** For a request. */
    open() {
      let [own, isOver] = [0, false];
      return {
        /** An error where there is no room. */
        take(bytes: number): void {
          if (isOver) return;
          if (held + bytes > most)
            throw refusal(503, 'the server has too much to do: try it again in a second');
          held += bytes;
          own += bytes;
        },
        release(): void {
          held -= own;
          isOver = true;
        },
      };
    },
  };
}

/** The body of a request. `take`: called for each piece. What is beyond a limit is read, but not kept, as clients look for an answer when they have sent all. */
export function readBody(request: IncomingMessage, take: (bytes: number) => void): Promise<Buffer> {
  const tooLong = () => refusal(413, `the body has more than ${MOST_BYTES} bytes: send fewer rows at a time`);
  const cutShort = () => refusal(400, 'the body ended early: send it again');
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const refuse = (error: Error) => {
      chunks.length = 0;
      request.off('data', add).resume();
      reject(error);
    };
    const add = (chunk: Buffer) => {
      bytes += chunk.length;
      try {
        if (bytes > MOST_BYTES) throw tooLong();
        take(chunk.length);
        chunks.push(chunk);
      } catch (error) {
        refuse(error as Error);
      }
    };
    if (Number(request.headers['content-length']) > MOST_BYTES) return refuse(tooLong());
    if (request.destroyed) return refuse(cutShort());
    request.on('data', add);
    request.once('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    for (const event of ['close', 'error']) request.once(event, () => reject(cutShort()));
  });
}
