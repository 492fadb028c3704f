import { connect } from 'node:net';

/** The start of a ZMTP 3.1 greeting, signature and version, to which the peer sends its greeting. The rest is never sent. */
const GREETING = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
/** Bytes of the peer's greeting that are needed: signature, version, mechanism. */
const NEEDED_BYTES = 32;
/** The time for the entire diagnosis, ms. */
const TIMEOUT_MS = 4000;
/** ZeroMQ has sent its greeting by then; servers of other protocols may be waiting for the end of a line. */
const SEND_NEWLINES_MS = 500;

/**
 * Tries to find out why a worker gets no answer from `endpoint` (tcp://HOST:PORT), by a connection of its own. Returns a clause
 * that says what is wrong and what to do. Takes at most four seconds.
 */
export function whyNoAnswer(endpoint: string, hasKey: boolean): Promise<string> {
  const [, host, port] = /^tcp:\/\/\[?([^\]]+?)\]?:(\d+)$/.exec(endpoint) ?? [];
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    let received = Buffer.alloc(0);
    let connected = false;
    const finish = (why: string) => {
      clearTimeout(timer);
      clearTimeout(newlines);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(
      () =>
        finish(
          connected
            ? explainPeer(received, hasKey)
            : 'it cannot be reached; check that no firewall blocks the connection',
        ),
      TIMEOUT_MS,
    );
    const newlines = setTimeout(
      () => connected && !received.length && socket.write('\r\n\r\n'),
      SEND_NEWLINES_MS,
    );
    socket.on('connect', () => {
      connected = true;
      socket.write(GREETING);
    });
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length >= NEEDED_BYTES || received[0] !== 0xff) finish(explainPeer(received, hasKey));
    });
    socket.on('close', () => finish(explainPeer(received, hasKey)));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish(connected ? explainPeer(received, hasKey) : explainError(error, host)),
    );
  });
}

function explainError({ code }: NodeJS.ErrnoException, host: string): string {
  if (code === 'ECONNREFUSED')
    return 'nothing listens on this port; check that the coordinator runs and that this is its port';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `the host name ${host} cannot be resolved`;
  return `it cannot be reached (${code}); check the network, and that no firewall blocks the connection`;
}

/** What the first bytes that a peer sends say about it. */
function explainPeer(received: Buffer, hasKey: boolean): string {
  if (!received.length)
    return 'something listens on this port but sends nothing: it is not a dpmesh coordinator, or one that hangs';
  if (received[0] !== 0xff) {
    const text = received.toString('latin1').split(/[\r\n]/)[0];
    return `something answers on this port, but it is not a dpmesh coordinator: it sends “${text.replace(/[^ -~]/g, '?').slice(0, 60)}”`;
  }
  const mechanism = received.toString('latin1', GREETING.length, NEEDED_BYTES).replace(/\0.*$/s, '');
  if (mechanism === 'CURVE')
    return hasKey
      ? 'a coordinator with keys answers; check that this key is on its list, and that the key file is from this coordinator'
      : 'the coordinator requires a key: use --key FILE';
  if (mechanism === 'NULL' && hasKey)
    return 'the coordinator there has no keys; leave --key out, or check the port';
  return 'a ZeroMQ socket answers, but not as a dpmesh coordinator; check the port, and that the coordinator is not stopped';
}
