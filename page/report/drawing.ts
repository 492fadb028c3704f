import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { childArguments } from '../../base/package.ts';
import type { ReportReply, ReportRequest } from './process.ts';

/** A child process that draws a report, so that its memory and its crashes do not affect the coordinator. */
export interface Drawing {
  /** Draws the report. Rejects with the reason if that fails. */
  draw(request: ReportRequest): Promise<{ path: string; notes: string[] }>;
  stop(): void;
}

const isSource = import.meta.url.endsWith('.ts');
/** Node.js arguments: the source under tsx, else the bundle, which loads in half the time. Tests that train from source have the bundle. */
export const program = {
  args: [
    ...childArguments(),
    fileURLToPath(new URL(isSource ? './process.ts' : '../../bundled/report.js', import.meta.url)),
  ],
};

/** Starts the process, which loads its modules while it waits for `draw`. */
export function startDrawing(): Drawing {
  // One for which there are no descriptors has no streams.
  const child: ChildProcess = spawn(process.execPath, program.args, {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let reply = '';
  let stderr = '';
  let stopped = false;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    reply += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2000);
  });
  child.stdin?.on('error', () => {});
  const ended = new Promise<string>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('close', (code, signal) => resolve(signal ? `killed by ${signal}` : `exit code ${code}`));
  });
  return {
    async draw(request) {
      child.stdin?.write(`${JSON.stringify(request)}\n`);
      const status = await ended;
      const isComplete = reply.endsWith('\n');
      if (stopped && !isComplete) throw new Error('drawing was stopped');
      const result: ReportReply = isComplete
        ? JSON.parse(reply)
        : { problem: `its process ended: ${stderr.trim().split('\n').at(-1) || status}` };
      if ('problem' in result) throw new Error(result.problem);
      return result;
    },
    stop() {
      stopped = true;
      child.stdin?.end();
    },
  };
}
