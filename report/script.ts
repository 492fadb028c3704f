import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Where `npm run build` puts the script of report.html, relative to the source and to the compiled file. */
const PATH = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? '../dist/web/report.js' : '../web/report.js', import.meta.url),
);

/** The script of report.html, and what a Content-Security-Policy calls it. */
export interface PageScript {
  code: string;
  source: string;
}

/** Null where the web files have not been built: the report is the same, without what its script does. */
export function pageScript(): PageScript | null {
  let code: string;
  try {
    // The hash is that of all between the tags.
    code = readFileSync(PATH, 'utf8').replaceAll('</script', '<\\/script').trim();
  } catch {
    return null;
  }
  return { code, source: `'sha256-${createHash('sha256').update(code).digest('base64')}'` };
}
