// A Slurm of two nodes on this machine: real munged, slurmctld and slurmd, all they write in a folder of its own.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, patience } from '../e2e/support.ts';

const NODES = ['one', 'two'];

export interface Cluster {
  /** Runs a command of Slurm and gives what it says. */
  slurm(command: string, ...args: string[]): string;
  /** What the daemons have logged, for a failure. */
  logs(): string;
  /** Ends all jobs and daemons; rejects if a process is left. */
  stop(): Promise<void>;
}

/** Resolves when `check` holds; asked five times a second, as Slurm's commands are processes. */
export async function eventually(what: string, check: () => unknown): Promise<void> {
  for (const begun = performance.now(); !check(); await sleep(200))
    if (performance.now() - begun > 1000 * patience(60)) throw new Error(`waited in vain for ${what}`);
}

/** Why there can be no Slurm here, or null. */
export function whyNot(): string | null {
  if (process.getuid?.() !== 0) return 'a Slurm of its own needs root';
  for (const tool of ['slurmctld', 'slurmd', 'munged', 'sbatch'])
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
    } catch {
      return `${tool} is not here (Debian: slurm-wlm, munge)`;
    }
  return null;
}

export async function startSlurm(folder: string): Promise<Cluster> {
  const conf = join(folder, 'slurm.conf');
  const munge = join(folder, 'munge');
  for (const name of ['state', 'munge', ...NODES])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o755 });
  writeFileSync(join(munge, 'key'), randomBytes(128), { mode: 0o600 });
  writeFileSync(join(folder, 'cgroup.conf'), 'CgroupPlugin=disabled\n');
  const [controller, ...ports] = [await freePort(), await freePort(), await freePort()];
  const nodes = NODES.map(
    (name, i) => `NodeName=${name} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=2`,
  );
  // A requeued job waits until its credential has expired: usually two minutes.
  writeFileSync(
    conf,
    `ClusterName=test
SlurmctldHost=${hostname()}(127.0.0.1)
SlurmctldPort=${controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=${munge}/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/%n.pid
SlurmctldLogFile=${folder}/slurmctld.log
SlurmdLogFile=${folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
KillWait=10
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
${nodes.join('\n')}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`,
  );
  const env = { ...process.env, SLURM_CONF: conf, DPMESH_LINGER: '0' };
  const daemons: ChildProcess[] = [];
  const daemon = (command: string, ...args: string[]) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    child.once('exit', (code) => code && console.error(`${command} ended with ${code}: ${said.slice(-500)}`));
    daemons.push(child);
  };
  const slurm = (command: string, ...args: string[]) =>
    execFileSync(command, args, { env, encoding: 'utf8', timeout: 30_000 }).trim();
  const answers = (command: string, ...args: string[]) => {
    try {
      return execFileSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      return '';
    }
  };

  const place = (name: string) => `--${name}-file=${munge}/${name}`;
  daemon(
    'munged',
    '--foreground',
    '--force',
    `--socket=${munge}/socket`,
    ...['key', 'pid', 'log', 'seed'].map(place),
  );
  await eventually('munged', () => answers('munge', '-n', `--socket=${munge}/socket`));
  daemon('slurmctld', '-D');
  for (const name of NODES) daemon('slurmd', '-D', '-N', name);
  await eventually('two idle nodes', () => answers('sinfo', '-h', '-t', 'idle', '-o', '%D').trim() === '2');

  /** Everything of this cluster: what has its configuration, and steps of jobs, which show only what they have open. */
  const alive = () =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .filter((pid) => {
        try {
          if (readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`SLURM_CONF=${conf}\0`)) return true;
          return readdirSync(`/proc/${pid}/fd`).some((fd) =>
            readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${folder}/`),
          );
        } catch {
          return false;
        }
      })
      .map(Number);
  const signal = (pids: number[], name: NodeJS.Signals) => {
    for (const pid of pids)
      try {
        process.kill(pid, name);
      } catch {
        // It has just ended.
      }
  };
  return {
    slurm,
    logs: () =>
      ['slurmctld', ...NODES]
        .map((name) => readFileSync(join(folder, `${name}.log`), 'utf8').slice(-3000))
        .join('\n'),
    async stop() {
      answers('scancel', '--user=root');
      await eventually('jobs that end', () => answers('squeue', '-h') === '');
      signal(daemons.map(({ pid }) => pid!).reverse(), 'SIGTERM');
      for (const begun = performance.now(); alive().length && performance.now() - begun < 5000; )
        await sleep(50);
      const left = alive();
      signal(left, 'SIGKILL');
      if (left.length) throw new Error(`processes of Slurm that did not end: ${left.join(' ')}`);
    },
  };
}
