import type { RunInfo } from '../view/api.ts';
import { byId, make, say } from './dom.ts';
import { count, words } from './format.ts';

/** The resolved configuration, and what the run is made of. */
export function configList({ config, versions, identity, data, out }: RunInfo): void {
  const rows: [string, unknown][] = [
    ['data', data.path],
    ['rows × dimensions', `${count(data.rows)} × ${data.dim}`],
  ];
  for (const [name, value] of Object.entries(config))
    if (name !== 'data') rows.push([words(name), name === 'labels' ? (value ?? 'none') : value]);
  rows.push(['results', out]);
  byId('config').replaceChildren(
    ...rows.map(([name, value]) => make('div', '', make('dt', '', name), make('dd', '', shown(value)))),
  );
  const parts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  if (identity) parts.push(identity);
  say(byId('foot'), parts.join(' · '));
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return 'from the data';
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
