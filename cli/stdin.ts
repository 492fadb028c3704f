import { printable } from '../base/text.ts';

/** The path of `--data`; `-` is standard input, which is copied to a file first. */
export async function dataPathOf(data: string): Promise<string> {
  if (data !== '-') return data;
  const { spoolStdin } = await import('../data/remote/stdin.ts');
  return spoolStdin({ log: (line) => console.error(printable(line)) });
}
