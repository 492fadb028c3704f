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
      `${JSON.stringify(board(), null, 2)}\n`,
    ]),
  );
