import { pathToFileURL } from 'node:url';
import { READ_FILES } from '../../run/read-files.ts';
import { type ReportOptions, writeReport } from './draw.ts';

/** Entry point of the process that draws one report: reads a request as a JSON line from stdin, writes the reply to stdout. */

export type ReportRequest = ReportOptions & { run: string };
export type ReportReply = { path: string; notes: string[] } | { problem: string };

async function reply(request: ReportRequest): Promise<ReportReply> {
  try {
    const { path, notes } = await writeReport(request.run, request, READ_FILES);
    return { path, notes };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  // Ctrl-C reaches the whole process group; the coordinator handles it, and its exit closes the pipe.
  process.on('SIGINT', () => {});
  let text = '';
  process.stdin.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (!text.endsWith('\n')) return;
    void reply(JSON.parse(text)).then((result) => {
      process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
    });
  });
  process.stdin.once('close', () => process.exit(0));
  // Loaded in advance, during the full pass.
  await import('@resvg/resvg-js');
}
