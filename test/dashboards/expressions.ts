// All expressions in the committed dashboards and rules, and the selectors in them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AnnotationQuery, Dashboard, Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard';
import { parse } from 'yaml';
import { FOLDER } from '../../dashboards/generate.ts';

export const RULES = ['recording', 'alerts'].map((name) => `dashboards/prometheus/${name}.rules.yml`);

/** The committed dashboards, by name. */
export const boards = (): Map<string, Dashboard> =>
  new Map(
    readdirSync(FOLDER)
      .filter((name) => name.endsWith('.json'))
      .map((name) => [name.replace('.json', ''), JSON.parse(readFileSync(join(FOLDER, name), 'utf8'))]),
  );

type Target = { expr: string; refId?: string; instant?: boolean; datasource?: { uid?: string } };
export const targets = (panel: Panel) => (panel.targets ?? []) as unknown as Target[];
export const isRow = (panel: Panel | RowPanel): panel is RowPanel => panel.type === 'row';
/** All panels except rows, including those inside collapsed rows. */
export const panels = (board: Dashboard): Panel[] =>
  (board.panels ?? []).flatMap((panel) => (isRow(panel) ? panel.panels : [panel]));

export interface DashboardQuery {
  where: string;
  expr: string;
  /** `values`: the values of `label`. `silent`: must return nothing for a healthy run. */
  as: 'range' | 'instant' | 'values' | 'silent';
  label?: string;
}

/** The queries that Grafana sends to Prometheus, before variables are substituted. */
export function queriesOfBoard(name: string, board: Dashboard): DashboardQuery[] {
  const panelQueries = panels(board).flatMap((panel) =>
    targets(panel).map(
      (target): DashboardQuery => ({
        where: `${name}: ${panel.title} ${target.refId}`,
        expr: target.expr,
        as: target.instant ? 'instant' : 'range',
      }),
    ),
  );
  const annotationQueries = (board.annotations.list ?? []).map(
    (annotation: AnnotationQuery): DashboardQuery => ({
      where: `${name}: annotation ${annotation.name}`,
      expr: annotation.expr!,
      as: 'range',
    }),
  );
  const variableQueries = (board.templating.list ?? [])
    .filter(({ type }) => type === 'query')
    .map((variable): DashboardQuery => {
      const { query } = variable.query as { query: string };
      const [, expr, label] = /^label_values\((.+), *(\w+)\)$/s.exec(query) ?? [];
      if (!label) throw new Error(`cannot parse variable ${variable.name}: ${query}`);
      return { where: `${name}: variable ${variable.name}`, expr, label, as: 'values' };
    });
  return [...panelQueries, ...annotationQueries, ...variableQueries];
}

/** The expressions of rules; for a recording rule also its own name. */
export function queriesOfRules(file: string, text: string): DashboardQuery[] {
  const { groups } = parse(text) as {
    groups: { rules: { record?: string; alert?: string; expr: string }[] }[];
  };
  return groups
    .flatMap(({ rules }) => rules)
    .flatMap(({ record, alert, expr }): DashboardQuery[] =>
      record
        ? [
            { where: `${file}: ${record}`, expr, as: 'instant' },
            { where: `${file}: ${record}, as recorded`, expr: record, as: 'instant' },
          ]
        : [{ where: `${file}: ${alert}`, expr, as: 'silent' }],
    );
}

export const allQueries = (): DashboardQuery[] => [
  ...[...boards()].flatMap(([name, board]) => queriesOfBoard(name, board)),
  ...RULES.flatMap((file) => queriesOfRules(file, readFileSync(file, 'utf8'))),
];

/** Substitutes variables as Grafana does. Throws if one has no value. */
export function substitute(expr: string, values: Record<string, string>): string {
  return expr.replace(/\$(\w+)|\$\{(\w+)\}/g, (variable, plain, braced) => {
    const value = values[plain ?? braced];
    if (value === undefined) throw new Error(`no value for ${variable} in ${expr}`);
    return value;
  });
}

const AGGREGATIONS = /^(sum|avg|min|max|count|group|stddev|stdvar|topk|bottomk|quantile|count_values)$/;
const KEYWORDS = /^(and|or|unless|bool|offset|atan2|inf|nan)$/i;
const LABEL_LISTS = /^(by|without|on|ignoring|group_left|group_right)$/;

/** The vector selectors of an expression without ranges: `name` or `name{…}`. */
export function selectors(expr: string): string[] {
  const matches: string[] = [];
  let rest = expr;
  const consume = (pattern: RegExp) => {
    const match = pattern.exec(rest)?.[0];
    if (match !== undefined) rest = rest.slice(match.length);
    return match;
  };
  const braces = /^\s*\{(?:[^"'}]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*\}/;
  while (rest) {
    if (consume(/^\s+|^"(?:[^"\\]|\\.)*"|^'(?:[^'\\]|\\.)*'|^\[[^\]]*\]|^\d[\w.]*/) !== undefined) continue;
    const name = consume(/^[a-z_:][\w:]*/i);
    if (name === undefined) {
      const nameless = consume(braces);
      if (nameless) matches.push(nameless);
      else rest = rest.slice(1);
    } else if (LABEL_LISTS.test(name)) consume(/^\s*\([^)]*\)/);
    else if (!KEYWORDS.test(name) && !AGGREGATIONS.test(name) && !/^\s*\(/.test(rest)) {
      matches.push(name + (consume(braces) ?? '').trim());
    }
  }
  return [...new Set(matches)];
}
