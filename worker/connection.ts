import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { UserError } from '../base/user-error.ts';
import { buildId } from '../proto/build-id.ts';
import { decode, encode, MalformedMessage } from '../proto/codec.ts';
import type { WorkerKey } from '../proto/keys.ts';
import {
  type FromCoordinator,
  type FromWorker,
  fromCoordinator,
  LARGE_RESULT,
  PROTOCOL,
  type RunEnd,
} from '../proto/messages.ts';
import { connectDealer } from '../proto/sockets.ts';
import type { TaskTable } from '../proto/tasks.ts';
import { byteLengthOf, type Tensors } from '../proto/tensors.ts';
import { LocalTrouble } from './trouble.ts';

/** A worker's connection to its coordinator: hello, pings, reconnecting, the next address, and why there is no answer. What a round says it passes on. */

/** How often a worker pings the coordinator, ms. */
const PING_MS = 1000;
/** Unanswered pings in a row after which the silence is logged: more once the coordinator was heard, as it may be busy. */
const [SILENT_PINGS, SILENT_PINGS_KNOWN] = [3, 10];
/** Unanswered pings after which the worker reconnects: longer than a handshake may take. */
const REOPEN_PINGS = 12;
/** The same where it has another address, to which it goes on: longer than a relay needs to be started again. */
const MOVE_PINGS = 6;
/** Interval of log lines about the silence in its first minute, and later, ms. */
const LOG_MS = 5000;
const LOG_LATER_MS = 10_000;
const LOG_LATER_AFTER_MS = 60_000;
/** How long a worker that leaves waits for a silent coordinator, ms. */
const LEAVE_TIMEOUT_MS = 2000;
/** Rejected messages that are logged, for each reason; all are counted. */
const MOST_LOGGED = 20;

/** The address of a coordinator or relay. Without the key to it, the connection is not encrypted. */
export interface CoordinatorAddress {
  connect: string;
  key?: WorkerKey;
}

/** What the relay of a launch is told in the first line of its stdin: where the coordinator is, and whom to let in where. */
export interface RelayPlace {
  places: readonly CoordinatorAddress[];
  bind: string;
  keys: { secret: string; allowed: [key: string, name: string][] };
}

export interface ConnectionOptions {
  /** Those that a coordinator may ask for. */
  tasks: TaskTable;
  /** Tried in this order, and again from the start: the worker stays where it gets an answer. */
  places: readonly CoordinatorAddress[];
  /** The worker gives up after this long without a message from any of them, ms. */
  reconnectFor: number;
  /** The same until it is first welcome; `reconnectFor` by default; Infinity: never. */
  giveUpAfter?: number;
  log: (line: string) => void;
}

/** Identifies a worker's process, or a relay, on all of its connections. */
export const newSession = () => randomBytes(16).toString('hex');

/** A worker's description of itself in its hello. */
export type WorkerDescription = Omit<
  Extract<FromWorker, { type: 'hello' }>,
  'type' | 'protocol' | 'version' | 'session'
> & { session?: string };

/** Messages of the coordinator that are not about the connection itself. */
export type Request = Exclude<FromCoordinator, { type: 'who' | 'pong' | 'send' | 'refuse' | 'stop' }>;

type Results = Extract<FromWorker, { type: 'results' }>;

/** Addresses for people. */
export const addressesOf = (places: readonly CoordinatorAddress[]) =>
  places.map(({ connect }) => connect).join(', ');

/**
 * A worker's connection to its coordinator: says hello, as it is described then, pings, logs why the coordinator does not answer, reconnects or goes on to
 * the next address, and finally gives up.
 */
export function openConnection(
  options: ConnectionOptions,
  describe: () => WorkerDescription,
  receive: (request: Request, tensors: Tensors) => void,
) {
  const { places, log, reconnectFor, giveUpAfter = reconnectFor } = options;
  const messages = fromCoordinator(options.tasks.schema);
  const session = newSession();
  /** Messages rejected since the start, by reason. */
  const refused = { invalid: 0, unrequested: 0, 'too many': 0 };
  let settle: { resolve: (ended?: RunEnd) => void; reject: (error: Error) => void };
  const done = new Promise<RunEnd | undefined>((resolve, reject) => {
    settle = { resolve, reject };
  });
  let isOver = false;
  /** How the run has ended, as the coordinator says it. */
  let stopped: RunEnd | undefined;
  /** The index of the place that it is connected to, and of the one that answered last. */
  let [at, answered] = [0, 0];
  /** It was welcome, or turned away: a relay also answers before it has a coordinator. */
  let isKnown = false;
  /** Time of its last message, or of the start. */
  let heardAt = performance.now();
  /** Ticks since its last message. Not a time, as a task may keep the worker from reading messages. */
  let silentTicks = 0;
  let helloAt = Number.NEGATIVE_INFINITY;
  let isPinging = false;
  /** Why it gets no units, as last heard. */
  let rests: string | undefined;
  /** Time of the last log line about the silence or a temporary refusal. */
  let loggedAt = Number.NEGATIVE_INFINITY;
  /** The reason for the silence by the last diagnosis. */
  let diagnosis = '';

  let socket = open();
  const ticker = setInterval(tick, PING_MS);
  hello();

  function open() {
    const { connect, key } = places[at];
    return connectDealer(connect, received, { key, failed: () => void diagnoseSilence(), reopened: hello });
  }

  function send(message: FromWorker, tensors?: Tensors): Promise<void> {
    return socket.send(encode(message, tensors));
  }

  /** Results that wait to be asked for. */
  let held: { message: Results; tensors: Tensors; bytes: number }[] = [];
  const announce = ({ message: { term, done }, bytes }: (typeof held)[number]) =>
    void send({ type: 'ready', term, bytes, first: done[0][0].shard });

  function sendResults(message: Results, tensors: Tensors): void {
    const bytes = byteLengthOf(tensors);
    if (bytes < LARGE_RESULT) return void send(message, tensors);
    const own = { message, tensors, bytes };
    held.push(own);
    announce(own);
  }

  /** On a new connection nothing of this is known. Results of another term count no more. */
  function announceAgain(term: number): void {
    held = held.filter(({ message }) => message.term === term);
    held.forEach(announce);
  }

  /**
   * Closes the connection, after a last message is `sent`: `done` resolves, or rejects with this error. The first call
   * counts: a worker that has failed is refused from then on, which is not why it ends.
   */
  function end(error?: Error, sent: Promise<void> = Promise.resolve()): void {
    if (isOver) return;
    isOver = true;
    clearInterval(ticker);
    // The process may exit when `done` settles: queued messages must be sent first.
    const closed = sent.then(() => socket.close());
    void closed.then(() => (error ? settle.reject(error) : settle.resolve(stopped)));
  }

  /** Sends what is held, and `bye`, then ends the connection. */
  function goodbye(error?: Error): void {
    for (const { message, tensors } of held.splice(0)) void send(message, tensors);
    void send({ type: 'bye' }).then(() => end(error));
  }

  function hello(): void {
    if (performance.now() - helloAt < PING_MS) return;
    helloAt = performance.now();
    void send({ type: 'hello', protocol: PROTOCOL, version: buildId(), session, ...describe() });
  }

  function received(frames: Buffer[]) {
    let message: { header: FromCoordinator; tensors: Tensors };
    try {
      message = decode(messages, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      // What it asked for would be waited for.
      return goodbye(new Unreadable(error.message));
    }
    heardAt = performance.now();
    silentTicks = 0;
    if (at !== answered) log(`goes on with ${places[at].connect}`);
    answered = at;
    const { header, tensors } = message;
    isKnown ||= header.type === 'welcome' || header.type === 'refuse';
    switch (header.type) {
      case 'pong':
        if (header.rests !== rests && header.rests !== undefined)
          log(`gets no units for now: ${header.rests}`);
        rests = header.rests;
        break;
      case 'who':
        hello();
        break;
      case 'send': {
        const next = held.shift();
        if (next) void send(next.message, next.tensors);
        break;
      }
      case 'refuse':
        if (header.retry) refusedForNow(header.reason);
        else if (header.identity === undefined) end(new RefusedByCoordinator(header.reason));
        else end(new IdentityMismatch(header.reason, header.identity));
        break;
      case 'stop':
        log(overText(header.ended));
        stopped = header.ended;
        end();
        break;
      default:
        if (header.type === 'welcome') announceAgain(header.term);
        receive(header, tensors);
    }
  }

  /** Only logs: the coordinator answers the next ping with `who`, to which the worker says hello again. */
  function refusedForNow(reason: string): void {
    if (performance.now() - loggedAt < LOG_LATER_MS) return;
    loggedAt = performance.now();
    log(`the coordinator refuses this worker for now, still trying: ${reason}`);
  }

  function tick() {
    const patience = isKnown ? reconnectFor : giveUpAfter;
    if (performance.now() - heardAt > patience) {
      const why = diagnosis && `: ${diagnosis}`;
      return end(
        new UserError(`no message from ${addressesOf(places)} for ${Math.round(patience / 1000)} s${why}`),
      );
    }
    if (++silentTicks >= (isKnown ? SILENT_PINGS_KNOWN : SILENT_PINGS)) void diagnoseSilence();
    if (places.length > 1 && silentTicks % MOVE_PINGS === 0) return move();
    // libzmq may believe in a connection that no longer works, for example after damaged bytes.
    if (silentTicks % REOPEN_PINGS === 0) socket.reopen();
    // One at a time: without a connection they would pile up.
    if (isPinging) return;
    isPinging = true;
    void send({ type: 'ping' }).then(() => {
      isPinging = false;
    });
  }

  /** Goes on to the next address: the relay there, or the coordinator, is dead, or as good as dead. */
  function move(): void {
    // In case that it is only slow.
    void send({ type: 'bye' });
    void socket.close();
    isPinging = false;
    at = (at + 1) % places.length;
    socket = open();
    helloAt = Number.NEGATIVE_INFINITY;
    hello();
  }

  async function diagnoseSilence(): Promise<void> {
    const { connect, key } = places[at];
    const now = performance.now();
    const interval = now - heardAt < LOG_LATER_AFTER_MS ? LOG_MS : LOG_LATER_MS;
    if (now - loggedAt < interval) return;
    loggedAt = now;
    const why = await whyNoAnswer(connect, key !== undefined);
    if (now < heardAt || isOver) return;
    diagnosis = why;
    const seconds = Math.round((performance.now() - heardAt) / 1000);
    log(`no answer from ${connect}${seconds ? ` for ${seconds} s` : ''}, still trying: ${why}`);
  }

  return {
    /**
     * Resolves when the coordinator sends `stop`, to how the run has ended, or after `end`. Rejects with a UserError if the worker is refused, or hears
     * nothing for `reconnectFor` ms.
     */
    done,
    refused,
    isOver: () => isOver,
    send,
    /** Sends results; large ones once the coordinator asks for them. */
    sendResults,
    goodbye,
    end,
    /** Ends the connection as soon as the coordinator is silent: neither `bye` nor requested rows would arrive. */
    endInSilence(): void {
      let before = Number.NaN;
      const timer = setInterval(() => {
        if (heardAt === before) end();
        before = heardAt;
      }, LEAVE_TIMEOUT_MS);
      const clear = () => clearInterval(timer);
      done.then(clear, clear);
    },
    /** Counts a rejected message, and logs the first of each reason. */
    ignore(reason: keyof typeof refused, detail: string): void {
      if (++refused[reason] <= MOST_LOGGED) log(`ignored a message from the coordinator: ${detail}`);
    },
  };
}

const overText = (ended?: RunEnd): string =>
  ended
    ? `the run ${{ done: 'is done', stopped: 'was stopped', failed: 'failed' }[ended.how]} (exit code ${ended.code})`
    : 'the run is over';

/** Damaged on its way, or of another version: another start may help. */
class Unreadable extends LocalTrouble {
  constructor(problem: string) {
    super(`cannot read a message of the coordinator (${problem}): left, so that others do this work`);
  }
}

class RefusedByCoordinator extends UserError {
  constructor(readonly reason: string) {
    super(`the coordinator refused this worker: ${reason}`);
  }
}

/** Refused because the run has another numeric identity. */
export class IdentityMismatch extends RefusedByCoordinator {
  constructor(
    reason: string,
    readonly identity: string,
  ) {
    super(reason);
  }
}

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
    const explained = () => finish(explainPeer(received, hasKey));
    const timer = setTimeout(() => {
      if (connected) explained();
      else finish('it cannot be reached; check that no firewall blocks the connection');
    }, TIMEOUT_MS);
    const newlines = setTimeout(() => {
      if (connected && !received.length) socket.write('\r\n\r\n');
    }, SEND_NEWLINES_MS);
    socket.on('connect', () => {
      connected = true;
      socket.write(GREETING);
    });
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      if (received.length >= NEEDED_BYTES || received[0] !== 0xff) explained();
    });
    socket.on('close', explained);
    socket.on('error', (error) => (connected ? explained() : finish(explainError(error, host))));
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
