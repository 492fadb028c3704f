import { type History, isOver, type Message, type RunInfo } from '../view/api.ts';
import { apply, type Part, type Store, startFrom } from './store.ts';

export type Connection = 'connecting' | 'open' | 'lost' | 'over';

export interface Listener {
  /** The whole history is there, for the first time or anew. */
  loaded(store: Store): void;
  changed(part: Part): void;
  /** The coordinator has a newer state; the last one, as the run is over. */
  state(isLast: boolean): void;
  connection(now: Connection): void;
}

/** Milliseconds before the next try; doubles up to the second. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

/**
 * Follows a run: opens the stream, then reads the history, then both as one. After a break all of it again: a
 * coordinator that dropped this page, or was killed and resumed, has gone on meanwhile. Ends with the run.
 */
export function follow(listener: Listener): void {
  let wait = FIRST_WAIT;
  connect();

  function connect() {
    let store: Store | null = null;
    const early: Message[] = [];
    const source = new EventSource('/api/stream');
    source.onopen = () => {
      load().then(
        () => {
          wait = FIRST_WAIT;
        },
        () => again(),
      );
    };
    source.onerror = () => again();
    source.onmessage = ({ data }) => {
      const message: Message = JSON.parse(data);
      if (!store) early.push(message);
      else take(store, message);
    };

    async function load() {
      const [run, history] = await Promise.all([json<RunInfo>('/api/run'), json<History>('/api/history')]);
      store = startFrom(run, history, early);
      listener.connection('open');
      listener.loaded(store);
      listener.state(isOver(store.status));
    }

    function take(to: Store, message: Message) {
      const part = apply(to, message);
      if (message.type === 'state') listener.state(isOver(to.status));
      if (part) listener.changed(part);
      if (part === 'status' && isOver(to.status)) listener.state(true);
    }

    function again() {
      // Stream and history may both fail: one new try is enough.
      if (!source.onerror) return;
      source.onerror = null;
      source.close();
      if (store && isOver(store.status)) return listener.connection('over');
      listener.connection('lost');
      setTimeout(connect, wait);
      wait = Math.min(2 * wait, LONGEST_WAIT);
    }
  }
}

async function json<T>(path: string): Promise<T> {
  const got = await fetch(path, { cache: 'no-store' });
  if (!got.ok) throw new Error(`${path}: ${got.status}`);
  return got.json();
}
