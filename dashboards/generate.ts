// npm run dashboards: writes the JSON that Grafana reads.
import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { cluster } from './cluster.ts';
import { reliability } from './reliability.ts';
import { training } from './training.ts';

/** The folder of Grafana's dashboard provider, relative to the root of the repository. */
export const FOLDER = 'dashboards/grafana/provisioning/dashboards';

/** The text of each generated file, by path. */
export const generate = (): Map<string, string> =>
  new Map(
    Object.entries({ training, cluster, reliability }).map(([name, board]) => [
      `${FOLDER}/${name}.json`,
      textOf(board()),
    ]),
  );

/** JSON with a line for each field, and for each item of the lists in them: a panel a line. */
function textOf(board: object): string {
  const fields = Object.entries(board).map(([name, value]) => {
    const items = Array.isArray(value) && value.length ? value : null;
    const text = items
      ? `[\n${items.map((item) => JSON.stringify(item)).join(',\n')}\n]`
      : JSON.stringify(value);
    return `${JSON.stringify(name)}: ${text}`;
  });
  return `{\n${fields.join(',\n')}\n}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const root = fileURLToPath(new URL('../', import.meta.url));
  for (const [path, text] of generate()) {
    writeFileSync(root + path, text);
    console.log(path);
  }
}
