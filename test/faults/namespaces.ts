import { spawnSync } from 'node:child_process';

// Network namespaces joined by a bridge: namespace `hub` has the bridge, each other one an end of a veth pair at 10.73.0.N.
// The network of the host is not touched, and everything disappears with the namespaces.

const prefix = `dpmesh-${process.pid}`;
const created: string[] = [];
// Their processes have been killed by then; deleting a namespace with processes would only remove its name.
process.once('exit', () => {
  for (const name of created) spawnSync('ip', ['netns', 'del', name]);
});

/** Runs a command. Null, or its error message. */
function tryRun(command: string, ...args: string[]): string | null {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? null : (error?.message ?? stderr.trim().split('\n')[0]);
}

function ip(...args: string[]): void {
  const reason = tryRun('ip', ...args);
  if (reason !== null) throw new Error(reason);
}

export interface VirtualNetwork {
  /** The command prefix to run a command in namespace `i`. */
  within(i: number): string[];
  address(i: number): string;
  /** Takes the link of namespace `i` down at the hub, or up again. */
  link(i: number, state: 'up' | 'down'): void;
  /** Applies netem options to all packets that the namespaces send. Null, or the error message. */
  impair(...netem: string[]): string | null;
}

/** Creates `count` connected namespaces. Throws if they are not allowed. */
export function connectNamespaces(count: number): VirtualNetwork {
  const name = (i: number | 'hub') => `${prefix}-${i}`;
  const add = (name: string) => {
    ip('netns', 'add', name);
    created.push(name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  };
  const address = (i: number) => `10.73.0.${i + 1}`;
  const hub = name('hub');
  add(hub);
  ip('-n', hub, 'link', 'add', 'bridge', 'type', 'bridge');
  ip('-n', hub, 'link', 'set', 'bridge', 'up');
  for (let i = 0; i < count; i++) {
    add(name(i));
    ip('-n', hub, 'link', 'add', `to${i}`, 'type', 'veth', 'peer', 'name', 'eth', 'netns', name(i));
    ip('-n', hub, 'link', 'set', `to${i}`, 'master', 'bridge', 'up');
    ip('-n', name(i), 'addr', 'add', `${address(i)}/24`, 'dev', 'eth');
    ip('-n', name(i), 'link', 'set', 'eth', 'up');
  }
  return {
    within: (i) => ['ip', 'netns', 'exec', name(i)],
    address,
    link: (i, state) => ip('-n', hub, 'link', 'set', `to${i}`, state),
    impair(...netem) {
      for (let i = 0; i < count; i++) {
        const args = ['-n', name(i), 'qdisc', 'add', 'dev', 'eth', 'root', 'netem', ...netem];
        const reason = tryRun('tc', ...args);
        if (reason !== null) return reason;
      }
      return null;
    },
  };
}
