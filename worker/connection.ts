import { randomBytes } from 'node:crypto';
import { UserError } from '../base/user-error.ts';
import { decode, encode, MalformedMessage } from '../proto/codec.ts';
import type { WorkerKey } from '../proto/keys.ts';
import { type FromCoordinator, type FromWorker, fromCoordinator, PROTOCOL } from '../proto/messages.ts';
import { connectDealer, type DealerSocket } from '../proto/sockets.ts';
import type { Tensors } from '../proto/tensors.ts';

/** How often an idle or busy worker says that it is alive, ms. */
const PING_MS = 1000;
/** Pings in a row without an answer after which it is said how things are: a coordinator that is known may be busy. */
const [SILENT, SILENT_KNOWN] = [3, 10];
/** As many, and the connection is made anew: longer than a handshake may take. */
const SILENT_REOPEN = 12;
/** Then every few seconds, and less often when that is no news, ms. */
const SAY_MS = 5000;
const SAY_LATER_MS = 10_000;
const NEWS_MS = 60_000;
/** A worker that leaves waits for a coordinator that is silent no longer than this, ms. */
const FAREWELL_MS = 2000;
/** Messages that are refused are logged up to this; all are counted. */
const MOST_LOGGED = 20;

export interface ConnectionOptions {
  connect: string;
  /** Without it, nothing is encrypted. */
  key?: WorkerKey;
  /** Without a word from the coordinator for this long, the worker gives up, ms. */
  reconnectFor: number;
  /** The same before the coordinator was ever heard, `reconnectFor` by default; Infinity: never. */
  giveUpAfter?: number;
  log: (line: string) => void;
}

/** What a worker says of itself in its hello. */
export type WorkerDescription = Omit<Extract<FromWorker, { type: 'hello' }>, 'type' | 'protocol' | 'session'>;

/** What a coordinator asks of a worker: all but the messages that are about the connection itself. */
export type Request = Exclude<FromCoordinator, { type: 'who' | 'pong' | 'refuse' | 'stop' }>;

/**
 * A worker's connection to its coordinator: says hello and that it is alive, begins anew where nothing is heard, says
 * why, and gives up in the end.
 */
export class CoordinatorConnection {
  /**
   * Resolves when the coordinator says stop, or after `end`. Rejects with a UserError if the worker is refused, or after
   * `reconnectFor` ms without a word.
   */
  readonly done: Promise<void>;
  /** Messages that were refused since the start, by reason. */
  readonly refused = { malformed: 0, unsound: 0, unasked: 0, 'too many': 0 };

  readonly #options: ConnectionOptions;
  readonly #about: WorkerDescription;
  readonly #receive: (request: Request, tensors: Tensors) => void;
  readonly #session = randomBytes(16).toString('hex');
  readonly #socket: DealerSocket;
  readonly #ticker: NodeJS.Timeout;
  #settle!: { resolve: () => void; reject: (error: Error) => void };
  #isOver = false;
  /** The coordinator was heard at least once, and last then. */
  #isKnown = false;
  #heard = performance.now();
  /** Ticks since something was heard: not time, as a task may have kept us from listening. */
  #ticks = 0;
  #saidHello = Number.NEGATIVE_INFINITY;
  #isPinging = false;
  /** When it was last logged how things are. */
  #logged = Number.NEGATIVE_INFINITY;
  /** Why nothing is heard, when that was last looked into. */
  #silence = '';

  constructor(
    options: ConnectionOptions,
    about: WorkerDescription,
    receive: (request: Request, tensors: Tensors) => void,
  ) {
    this.#options = options;
    this.#about = about;
    this.#receive = receive;
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.#socket = connectDealer(options.connect, (frames) => this.#received(frames), {
      key: options.key,
      failed: () => void this.#explainSilence(),
      reopened: () => this.#hello(),
    });
    this.#ticker = setInterval(() => this.#tick(), PING_MS);
    this.#hello();
  }

  /** Nobody waits for results any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  send(message: FromWorker, tensors?: Tensors): Promise<void> {
    return this.#socket.send(encode(message, tensors));
  }

  /** Says goodbye, then ends. */
  goodbye(error?: Error): void {
    void this.send({ type: 'bye' }).then(() => this.end(error));
  }

  /** Closes the connection: `done` resolves, or rejects with this error. */
  end(error?: Error): void {
    this.#isOver = true;
    clearInterval(this.#ticker);
    // The process may exit next: first what was said has to be gone.
    void this.#socket.close().then(() => (error ? this.#settle.reject(error) : this.#settle.resolve()));
  }

  /** Ends as soon as nobody is heard: neither a goodbye nor rows that were asked for get through to nobody. */
  endInSilence(): void {
    let before = Number.NaN;
    const timer = setInterval(() => {
      if (this.#heard === before) this.end();
      before = this.#heard;
    }, FAREWELL_MS);
    const clear = () => clearInterval(timer);
    this.done.then(clear, clear);
  }

  /** Counts a message that is refused, and says so of the first of them. */
  ignore(why: keyof CoordinatorConnection['refused'], what: string): void {
    if (++this.refused[why] <= MOST_LOGGED)
      this.#options.log(`ignored a message from the coordinator: ${what}`);
  }

  #hello(): void {
    if (performance.now() - this.#saidHello < PING_MS) return;
    this.#saidHello = performance.now();
    void this.send({ type: 'hello', protocol: PROTOCOL, ...this.#about, session: this.#session });
  }

  #received(frames: Buffer[]): void {
    let message: { header: FromCoordinator; tensors: Tensors };
    try {
      message = decode(fromCoordinator, frames);
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
      this.ignore('malformed', error.message);
      return;
    }
    this.#heard = performance.now();
    this.#isKnown = true;
    this.#ticks = 0;
    const { header, tensors } = message;
    switch (header.type) {
      case 'pong':
        break;
      case 'who':
        this.#hello();
        break;
      case 'refuse':
        if (header.retry) this.#refusedForNow(header.reason);
        else if (header.identity === undefined) this.end(new RefusedByCoordinator(header.reason));
        else this.end(new IdentityMismatch(header.reason, header.identity));
        break;
      case 'stop':
        this.end();
        break;
      default:
        this.#receive(header, tensors);
    }
  }

  /** It is asked to say hello at its next ping, for as long as it takes. */
  #refusedForNow(reason: string): void {
    if (performance.now() - this.#logged < SAY_LATER_MS) return;
    this.#logged = performance.now();
    this.#options.log(`the coordinator has no room, trying on: ${reason}`);
  }

  #tick(): void {
    const { connect, reconnectFor, giveUpAfter = reconnectFor } = this.#options;
    const patience = this.#isKnown ? reconnectFor : giveUpAfter;
    if (performance.now() - this.#heard > patience) {
      const seconds = Math.round(patience / 1000);
      this.end(new UserError(`no word from ${connect} for ${seconds} s${this.#silence}`));
      return;
    }
    if (++this.#ticks >= (this.#isKnown ? SILENT_KNOWN : SILENT)) void this.#explainSilence();
    // A connection that libzmq holds for a good one may be none, after bytes that were damaged on their way.
    if (this.#ticks % SILENT_REOPEN === 0) this.#socket.reopen();
    // One at a time: without a connection they would wait in line.
    if (this.#isPinging) return;
    this.#isPinging = true;
    void this.send({ type: 'ping' }).then(() => {
      this.#isPinging = false;
    });
  }

  async #explainSilence(): Promise<void> {
    const { connect, key, log } = this.#options;
    const now = performance.now();
    if (now - this.#logged < (now - this.#heard < NEWS_MS ? SAY_MS : SAY_LATER_MS)) return;
    this.#logged = now;
    const { whyNoAnswer } = await import('./diagnose.ts');
    const why = await whyNoAnswer(connect, key !== undefined);
    if (now < this.#heard || this.#isOver) return;
    this.#silence = `: ${why}`;
    const silent = Math.round((performance.now() - this.#heard) / 1000);
    log(`no answer from ${connect}${silent ? ` for ${silent} s` : ''}, trying on: ${why}`);
  }
}

class RefusedByCoordinator extends UserError {
  constructor(reason: string) {
    super(`the coordinator refused this worker: ${reason}`);
  }
}

/** The run computes with another backend. */
export class IdentityMismatch extends RefusedByCoordinator {
  constructor(
    reason: string,
    readonly identity: string,
  ) {
    super(reason);
  }
}
