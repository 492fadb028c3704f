import { ParseError } from 'eventsource-parser';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { oneLine } from '../base/text.ts';
import { UserError } from '../base/user-error.ts';
import type { Message } from '../view/api.ts';

/** Reading what a server answers that may be no run of ours: within limits, and what is not understood is an error of the user. */

/** Bytes of an answer; the history of a long run has some MiB. */
const MOST_BYTES = 64 << 20;
/** Characters of a message of the stream. */
const MOST_CHARACTERS = 1 << 20;

/** UserError: no run of ours would send this. */
const notARun = (url: string, why: string) =>
  new UserError(`${new URL(url).origin} is no run of dpmesh, or of another version: ${why}`);

/** A JSON answer. Rejects with a UserError where it is too long or no JSON. */
export async function jsonOf<T>({ body, url }: Response): Promise<T> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) throw notARun(url, `an answer has more than ${MOST_BYTES >> 20} MiB`);
    chunks.push(chunk);
  }
  return understood(url, () => JSON.parse(Buffer.concat(chunks).toString()));
}

/** The messages of the stream, as they come. Rejects with a UserError where one is too long or no JSON. */
export async function* messagesOf({ body, url }: Response): AsyncGenerator<Message> {
  const parser = new EventSourceParserStream({ maxBufferSize: MOST_CHARACTERS });
  try {
    for await (const { data } of body!.pipeThrough(new TextDecoderStream()).pipeThrough(parser))
      yield understood(url, () => {
        const message: Message = JSON.parse(data);
        if (typeof message?.type !== 'string') throw new TypeError('a message without a type');
        return message;
      });
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw notARun(url, `a message has more than ${MOST_CHARACTERS >> 20} MiB`);
  }
}

/** What `read` makes of an answer. UserError where that has not the form that it must have. */
export function understood<T>(url: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw notARun(url, `an answer has another form (${oneLine((error as Error).message.slice(0, 80))})`);
  }
}
