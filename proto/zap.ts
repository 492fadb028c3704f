import { type Context, Reply } from 'zeromq';
import type { Authenticator } from './authenticator.ts';
import { toZ85 } from './z85.ts';

/** The ZAP domain of the coordinator's socket. */
export const ZAP_DOMAIN = 'dpmesh';
const VERSION = '1.0';

/**
 * The reply to libzmq's authentication request for a client (ZAP 1.0, RFC 27). Its frames are version, request id, domain,
 * address, routing id, mechanism, and for CURVE the client's public key.
 *
 * An unknown client gets 300, not 400: libzmq reports 400 to the peer, whose socket then gives up; after 300 the peer hears
 * nothing until its handshake times out, and may try again. So a worker that is added to the list joins without a restart, and
 * an unknown one gets only one try per handshake timeout and connection.
 */
export function answerZap(frames: Uint8Array[], admit: Authenticator['admit']): (string | Uint8Array)[] {
  const [version, request, domain, address, , mechanism, key] = frames.map((frame) => Buffer.from(frame));
  const isValid =
    String(version) === VERSION &&
    String(domain) === ZAP_DOMAIN &&
    String(mechanism) === 'CURVE' &&
    key?.length === 32;
  const name = isValid ? admit(toZ85(key), String(address)) : null;
  return name === null ? [VERSION, request, '300', '', '', ''] : [VERSION, request, '200', '', name, ''];
}

/** Answers authentication requests of the context until the returned socket is closed. */
export async function serveZap(context: Context, admit: Authenticator['admit']): Promise<Reply> {
  const socket = new Reply({ context, linger: 0 });
  await socket.bind('inproc://zeromq.zap.01');
  void (async () => {
    for await (const frames of socket) await socket.send(answerZap(frames, admit));
  })().catch((error) => {
    // The socket may be closed before the reply is sent; any other error is a bug.
    if (!socket.closed)
      setImmediate(() => {
        throw error;
      });
  });
  return socket;
}
