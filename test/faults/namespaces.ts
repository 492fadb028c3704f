import { spawnSync } from 'node:child_process';

/**
 * Network namespaces on a bridge: `hub` has the bridge, each of the others one end of a pair at 10.73.0.N. The machine's own
 * network is not touched, and all goes away with the namespaces.
 */

const prefix = `dpmesh-${process.pid}`;
const made: string[] = [];
// Whatever they run has been killed by then; a namespace with processes would only lose its name.
process.once('exit', () => {
  for (const name of made) spawnSync('ip', ['netns', 'del', name]);
});

/** Null, or what the command complained of. */
function refused(command: string, ...args: string[]): string | null {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? null : (error?.message ?? stderr.trim().split('\n')[0]);
}

function must(...args: string[]): void {
  const reason = refused('ip', ...args);
  if (reason !== null) throw new Error(reason);
}

export interface Net {
  /** What a command is handed to so that it runs there. */
  within(i: number): string[];
  address(i: number): string;
  /** Takes the link down at the hub, or up again. */
  link(i: number, state: 'up' | 'down'): void;
  /** Delay and loss of all that each place sends; null, or why not. */
  trouble(...netem: string[]): string | null;
}

/** Throws with the reason where namespaces are not allowed. */
export function connectPlaces(count: number): Net {
  const name = (i: number | 'hub') => `${prefix}-${i}`;
  const add = (name: string) => {
    must('netns', 'add', name);
    made.push(name);
    must('-n', name, 'link', 'set', 'lo', 'up');
  };
  const address = (i: number) => `10.73.0.${i + 1}`;
  const hub = name('hub');
  add(hub);
  must('-n', hub, 'link', 'add', 'bridge', 'type', 'bridge');
  must('-n', hub, 'link', 'set', 'bridge', 'up');
  for (let i = 0; i < count; i++) {
    add(name(i));
    must('-n', hub, 'link', 'add', `to${i}`, 'type', 'veth', 'peer', 'name', 'eth', 'netns', name(i));
    must('-n', hub, 'link', 'set', `to${i}`, 'master', 'bridge', 'up');
    must('-n', name(i), 'addr', 'add', `${address(i)}/24`, 'dev', 'eth');
    must('-n', name(i), 'link', 'set', 'eth', 'up');
  }
  return {
    within: (i) => ['ip', 'netns', 'exec', name(i)],
    address,
    link: (i, state) => must('-n', hub, 'link', 'set', `to${i}`, state),
    trouble(...netem) {
      for (let i = 0; i < count; i++) {
        const args = ['-n', name(i), 'qdisc', 'add', 'dev', 'eth', 'root', 'netem', ...netem];
        const reason = refused('tc', ...args);
        if (reason !== null) return reason;
      }
      return null;
    },
  };
}
