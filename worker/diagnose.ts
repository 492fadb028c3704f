import { connect } from 'node:net';

/** ZMTP 3.1, the first part: signature and version. The other end then says its whole greeting; ours it never gets. */
const GREETING = Buffer.from([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 1]);
/** Of its greeting: signature, version, mechanism. */
const TOLD = 32;
/** Until when the other end of a connection has to have said something, ms. */
const ANSWER_MS = 4000;
/** ZeroMQ has greeted by then; others may wait for the end of a line. */
const NUDGE_MS = 500;

/**
 * Why a worker that connects to `endpoint` (tcp://HOST:PORT) hears nothing, as far as a connection of its own can
 * tell: a part of a sentence, with what to do. Takes at most four seconds, and leaves nothing open.
 */
export function whyNoAnswer(endpoint: string, hasKey: boolean): Promise<string> {
  const [, host, port] = /^tcp:\/\/\[?([^\]]+?)\]?:(\d+)$/.exec(endpoint) ?? [];
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) });
    let said = Buffer.alloc(0);
    let connected = false;
    const finish = (why: string) => {
      clearTimeout(timer);
      clearTimeout(nudge);
      socket.destroy();
      resolve(why);
    };
    const timer = setTimeout(
      () =>
        finish(connected ? whatSpeaks(said, hasKey) : 'it cannot be reached: is there a firewall between?'),
      ANSWER_MS,
    );
    const nudge = setTimeout(() => connected && !said.length && socket.write('\r\n\r\n'), NUDGE_MS);
    socket.on('connect', () => {
      connected = true;
      socket.write(GREETING);
    });
    socket.on('data', (part: Buffer) => {
      said = Buffer.concat([said, part]);
      if (said.length >= TOLD || said[0] !== 0xff) finish(whatSpeaks(said, hasKey));
    });
    socket.on('close', () => finish(whatSpeaks(said, hasKey)));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      finish(connected ? whatSpeaks(said, hasKey) : unreachable(error, host)),
    );
  });
}

function unreachable({ code }: NodeJS.ErrnoException, host: string): string {
  if (code === 'ECONNREFUSED') return 'nobody listens there: is the coordinator up, and is this its port?';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `no address is known for the name ${host}`;
  return `it cannot be reached (${code}): is the network up, and is there a firewall between?`;
}

/** What the first bytes from a port tell of who is there. */
function whatSpeaks(said: Buffer, hasKey: boolean): string {
  const no = 'but it is not a dpmesh coordinator';
  if (!said.length) return `something listens there that says nothing, ${no}, or one that hangs`;
  if (said[0] !== 0xff) {
    const text = said.toString('latin1').split(/[\r\n]/)[0];
    return `something answers there, ${no}: it says “${text.replace(/[^ -~]/g, '?').slice(0, 60)}”`;
  }
  const mechanism = said.toString('latin1', GREETING.length, TOLD).replace(/\0.*$/s, '');
  if (mechanism === 'CURVE')
    return hasKey
      ? 'a coordinator is there: is this key on its list, and the key file of this coordinator?'
      : 'the coordinator there wants a key: --key FILE';
  if (mechanism === 'NULL' && hasKey)
    return 'what is there has no keys: leave --key out, or is it another port?';
  return 'a ZeroMQ socket answers there, but says nothing to a worker: is it a dpmesh coordinator, and does it run?';
}
