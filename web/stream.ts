import { type History, isOver, type Message, type RunInfo } from '../view/api.ts';
import { applyMessage, createStore, type Store, type StorePart } from './store.ts';

export type ConnectionState = 'connecting' | 'open' | 'lost' | 'over';

export interface StreamListener {
  /** The complete history has been loaded, initially or after a reconnect. */
  loaded(store: Store): void;
  changed(part: StorePart): void;
  /** The coordinator has a newer model state. `isLast`: the run is over. */
  state(isLast: boolean): void;
  connection(state: ConnectionState): void;
}

/** Milliseconds before a reconnect. Doubles from the first to the second. */
const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;

/**
 * Follows a run until it ends: opens the stream, loads the history and combines the two. After a disconnect it starts
 * over, because a coordinator that dropped this page, or was killed and resumed, has made progress in between.
 */
export function followRun(listener: StreamListener): void {
  let wait = FIRST_WAIT;
  connect();

  function connect() {
    let store: Store | null = null;
    const early: Message[] = [];
    const source = new EventSource('api/stream');
    source.onopen = () => {
      load().then(
        () => {
          wait = FIRST_WAIT;
        },
        () => reconnect(),
      );
    };
    source.onerror = () => reconnect();
    source.onmessage = ({ data }) => {
      const message: Message = JSON.parse(data);
      if (!store) early.push(message);
      else receive(store, message);
    };

    async function load() {
      const [run, history] = await Promise.all([
        fetchJson<RunInfo>('api/run'),
        fetchJson<History>('api/history'),
      ]);
      store = createStore(run, history, early);
      listener.connection('open');
      listener.loaded(store);
      listener.state(isOver(store.status));
    }

    function receive(store: Store, message: Message) {
      const part = applyMessage(store, message);
      if (message.type === 'state') listener.state(isOver(store.status));
      if (part) listener.changed(part);
      if (part === 'status' && isOver(store.status)) listener.state(true);
    }

    function reconnect() {
      // Stream and history may both fail: reconnect only once.
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

async function fetchJson<T>(path: string): Promise<T> {
  const response = await fetch(path, { cache: 'no-store' });
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  return response.json();
}
