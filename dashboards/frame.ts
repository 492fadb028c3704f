import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { type Panel, SOURCE } from './panels.ts';

/** The chosen run, as it stands in every selector. */
export const RUN = 'run="$run"';
/** The chosen workers of it. */
export const WORKERS = 'run="$run",worker=~"$worker"';
/** Two scrapes at least, whatever the zoom. */
export const LATELY = '[$__rate_interval]';

/** A mark on every course of a dashboard. */
export interface Mark {
  name: string;
  colour: string;
  /** Above 0 where there is something to mark. */
  expr: string;
  text: string;
}

export interface Content {
  uid: string;
  title: string;
  about: string;
  /** Whether it can be narrowed to some workers. */
  byWorker?: boolean;
  marks?: readonly Mark[];
  /** Rows with their titles, from the top. */
  rows: readonly (readonly [title: string, panels: readonly Panel[]])[];
}

const variable = (name: string, label: string, of: string) =>
  new QueryVariableBuilder(name)
    .label(label)
    .datasource(SOURCE)
    .query({ qryType: 1, query: `label_values(${of})`, refId: `variable-${name}` })
    .definition(`label_values(${of})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc);

const mark = ({ name, colour, expr, text }: Mark) =>
  new AnnotationQueryBuilder()
    .name(name)
    .datasource(SOURCE)
    .enable(true)
    .iconColor(colour)
    .expr(expr)
    .step('5s')
    .titleFormat(text);

/** A dashboard: its panels, and around them what all of ours have. */
export function frame({ uid, title, about, byWorker, marks = [], rows }: Content): Dashboard {
  const board = new DashboardBuilder(`dpmesh / ${title}`)
    .uid(uid)
    .description(about)
    .tags(['dpmesh'])
    .time({ from: 'now-30m', to: 'now' })
    .refresh('5s')
    .tooltip(DashboardCursorSync.Crosshair)
    .readonly()
    .link(
      new DashboardLinkBuilder('dpmesh')
        .type(DashboardLinkType.Dashboards)
        .tags(['dpmesh'])
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(new DatasourceVariableBuilder('datasource').label('Data source').type('prometheus'))
    .withVariable(variable('run', 'Run', 'dpmesh_build_info, run'))
    .annotations(marks.map(mark));
  if (byWorker) {
    board.withVariable(
      variable('worker', 'Worker', `dpmesh_worker_info{${RUN}}, worker`)
        .multi(true)
        .includeAll(true)
        .allValue('.*')
        .current({ selected: true, text: ['All'], value: ['$__all'] }),
    );
  }
  let id = 0;
  for (const [title, panels] of rows) {
    board.withRow(new RowBuilder(title).id(++id));
    for (const panel of panels) board.withPanel(panel.id(++id));
  }
  return board.build();
}
