import { type Context, Reply } from 'zeromq';
import type { Authenticator } from './authenticator.ts';
import { toZ85 } from './z85.ts';

/** The domain that the coordinator's socket asks in. */
export const ZAP_DOMAIN = 'dpmesh';
const VERSION = '1.0';

/**
 * Answers libzmq's question who a client is (ZAP 1.0, RFC 27), asked over inproc within one context: frames are version,
 * request, domain, address, routing id, mechanism, and for CURVE the client's public key.
 *
 * A stranger gets 300, not 400: after 400 libzmq tells the peer, whose socket then gives up; after 300 it hears nothing
 * until the time for its handshake is over, and may try again. So who is added to the list gets in without a restart,
 * and a stranger has one try in that time for each connection.
 */
export function answerZap(frames: Uint8Array[], admit: Authenticator['admit']): (string | Uint8Array)[] {
  const [version, request, domain, address, , mechanism, key] = frames.map((frame) => Buffer.from(frame));
  const asked =
    String(version) === VERSION &&
    String(domain) === ZAP_DOMAIN &&
    String(mechanism) === 'CURVE' &&
    key?.length === 32;
  const name = asked ? admit(toZ85(key), String(address)) : null;
  return name === null ? [VERSION, request, '300', '', '', ''] : [VERSION, request, '200', '', name, ''];
}

/** Answers for as long as the socket that it gives is open. */
export async function serveZap(context: Context, admit: Authenticator['admit']): Promise<Reply> {
  const socket = new Reply({ context, linger: 0 });
  await socket.bind('inproc://zeromq.zap.01');
  void (async () => {
    for await (const frames of socket) await socket.send(answerZap(frames, admit));
  })().catch((error) => {
    // Closed between a question and its answer; anything else is a bug.
    if (!socket.closed)
      setImmediate(() => {
        throw error;
      });
  });
  return socket;
}
