/** What every command of this folder ends with: one JSON line on stdout. */
export interface Outcome {
  name: string;
  what: string;
  asked: string;
  measured: string;
  ok: boolean;
}

export function report(outcome: Outcome): void {
  console.log(JSON.stringify(outcome));
  process.exitCode = outcome.ok ? 0 : 1;
}

/** `--seed N` and the like: a number behind a flag of the command line. */
export function numberFlag(name: string, otherwise: number): number {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(process.argv[at + 1]);
}
