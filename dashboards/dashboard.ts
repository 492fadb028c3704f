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
import { DATA_SOURCE, type Panel, perRun } from './panels.ts';

/** Label matchers for the chosen runs. */
export const RUN = 'run=~"$run",run_id=~"$run_id",instance=~"$instance"';
/** Label matchers for the chosen workers of these runs. */
export const WORKERS = `${RUN},worker=~"$worker"`;
/** Range of rates: at least two scrapes at any zoom. */
export const RATE_WINDOW = '[$__rate_interval]';

/** The rate of a counter, and its increase, of all chosen runs together. */
export const rate = (counter: string) => `sum(rate(${counter}{${RUN}}${RATE_WINDOW}))`;
export const increase = (counter: string) => `sum(increase(${counter}{${RUN}}${RATE_WINDOW}))`;

/** An annotation on all time series of a dashboard. */
export interface Annotation {
  name: string;
  colour: string;
  /** Above 0 where there is something to annotate. */
  expr: string;
  text: string;
}

export interface DashboardContent {
  uid: string;
  title: string;
  description: string;
  /** Whether a variable can restrict it to some workers. */
  byWorker?: boolean;
  annotations?: readonly Annotation[];
  /** Rows with their titles, from the top. */
  rows: readonly (readonly [title: string, panels: readonly Panel[]])[];
}

const variable = (name: string, label: string, of: string) =>
  new QueryVariableBuilder(name)
    .label(label)
    .datasource(DATA_SOURCE)
    .query({ qryType: 1, query: `label_values(${of})`, refId: `variable-${name}` })
    .definition(`label_values(${of})`)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc);

/** A variable of which all values are chosen at first. */
const all = (name: string, label: string, of: string) =>
  variable(name, label, of)
    .multi(true)
    .includeAll(true)
    .allValue('.*')
    .current({ selected: true, text: ['All'], value: ['$__all'] });

const annotation = ({ name, colour, expr, text }: Annotation) =>
  new AnnotationQueryBuilder()
    .name(name)
    .datasource(DATA_SOURCE)
    .enable(true)
    .iconColor(colour)
    .expr(perRun(expr))
    .step('5s')
    .titleFormat(text);

/** A dashboard of these panels, with the variables, links and refresh that all dashboards share. */
export function dashboard(content: DashboardContent): Dashboard {
  const { uid, title, description, byWorker, annotations = [], rows } = content;
  const board = new DashboardBuilder(`dpmesh / ${title}`)
    .uid(uid)
    .description(description)
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
    .withVariable(variable('run', 'Run', 'dpmesh_build_info, run').multi(true))
    .withVariable(all('run_id', 'Run id', 'dpmesh_build_info{run=~"$run"}, run_id'))
    .withVariable(all('instance', 'Instance', 'dpmesh_build_info{run=~"$run",run_id=~"$run_id"}, instance'))
    .annotations(annotations.map(annotation));
  if (byWorker) board.withVariable(all('worker', 'Worker', `dpmesh_worker_info{${RUN}}, worker`));
  let id = 0;
  for (const [title, panels] of rows) {
    board.withRow(new RowBuilder(title).id(++id));
    for (const panel of panels) board.withPanel(panel.id(++id));
  }
  return board.build();
}
