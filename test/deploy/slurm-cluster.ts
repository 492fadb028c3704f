// A Slurm cluster of two nodes on this machine: real munged, slurmctld and slurmd, with all their files in one folder.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, patience } from '../e2e/support.ts';

const NODES = ['one', 'two'];

export interface SlurmCluster {
  /** Runs a Slurm command and returns its output. */
  slurm(command: string, ...args: string[]): string;
  /** The end of the logs of the daemons. */
  logs(): string;
  /** Ends all jobs and daemons; rejects if a process is left. */
  stop(): Promise<void>;
}

/** Resolves when `check` holds. Checks five times per second, because each Slurm command starts a process. */
export async function eventually(what: string, check: () => unknown): Promise<void> {
  for (const begun = performance.now(); !check(); await sleep(200))
    if (performance.now() - begun > 1000 * patience(60)) throw new Error(`timeout while waiting for ${what}`);
}

/** Why Slurm cannot run here, or null. */
export function slurmProblem(): string | null {
  if (process.getuid?.() !== 0) return 'running Slurm needs root';
  for (const tool of ['slurmctld', 'slurmd', 'munged', 'sbatch'])
    try {
      execFileSync('which', [tool], { stdio: 'ignore' });
    } catch {
      return `${tool} is not installed (Debian: slurm-wlm, munge)`;
    }
  return null;
}

export async function startSlurm(folder: string): Promise<SlurmCluster> {
  const conf = join(folder, 'slurm.conf');
  const munge = join(folder, 'munge');
  for (const name of ['state', 'munge', ...NODES])
    mkdirSync(join(folder, name), { recursive: true, mode: 0o755 });
  writeFileSync(join(munge, 'key'), randomBytes(128), { mode: 0o600 });
  writeFileSync(join(folder, 'cgroup.conf'), 'CgroupPlugin=disabled\n');
  // Files in place of GPUs: Slurm hands out what is listed.
  for (const gpu of [0, 1]) writeFileSync(join(folder, `gpu${gpu}`), '');
  writeFileSync(join(folder, 'gres.conf'), `NodeName=${NODES} Name=gpu File=${folder}/gpu[0-1]\n`);
  const [controller, ...ports] = [await freePort(), await freePort(), await freePort()];
  const nodes = NODES.map(
    (name, i) =>
      `NodeName=${name} NodeHostname=${hostname()} NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=5 Gres=gpu:2`,
  );
  // cred_expire: a requeued job waits until its credential expires, by default two minutes.
  writeFileSync(
    conf,
    // The port of a job is by its number: another cluster on this machine must not have the same.
    `ClusterName=test
FirstJobId=${randomInt(1, 9000)}
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
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
GresTypes=gpu
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
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.once(
      'exit',
      (code) => code && console.error(`${command} exited with ${code}: ${stderr.slice(-500)}`),
    );
    daemons.push(child);
  };
  const slurm = (command: string, ...args: string[]) =>
    execFileSync(command, args, { env, encoding: 'utf8', timeout: 30_000 }).trim();
  const outputOf = (command: string, ...args: string[]) => {
    try {
      return execFileSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      return '';
    }
  };

  const fileFlag = (name: string) => `--${name}-file=${munge}/${name}`;
  daemon(
    'munged',
    '--foreground',
    '--force',
    `--socket=${munge}/socket`,
    ...['key', 'pid', 'log', 'seed'].map(fileFlag),
  );
  await eventually('munged', () => outputOf('munge', '-n', `--socket=${munge}/socket`));
  daemon('slurmctld', '-D');
  for (const name of NODES) daemon('slurmd', '-D', '-N', name);
  await eventually('two idle nodes', () => outputOf('sinfo', '-h', '-t', 'idle', '-o', '%D').trim() === '2');

  /** Processes of this cluster: those with its configuration, and job steps, recognized only by their open files. */
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
      outputOf('scancel', '--user=root');
      await eventually('jobs that end', () => outputOf('squeue', '-h') === '');
      signal(daemons.map(({ pid }) => pid!).reverse(), 'SIGTERM');
      for (const begun = performance.now(); alive().length && performance.now() - begun < 5000; )
        await sleep(50);
      const left = alive();
      signal(left, 'SIGKILL');
      if (left.length) throw new Error(`Slurm processes that did not end: ${left.join(' ')}`);
    },
  };
}
