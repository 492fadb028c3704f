import * as bars from '@grafana/grafana-foundation-sdk/barchart';
import * as gauges from '@grafana/grafana-foundation-sdk/bargauge';
import {
  AxisPlacement,
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  LineInterpolation,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  AnnotationQueryBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  FieldColorBuilder,
  FieldColorModeId,
  QueryVariableBuilder,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import * as stats from '@grafana/grafana-foundation-sdk/stat';
import * as tables from '@grafana/grafana-foundation-sdk/table';
import * as series from '@grafana/grafana-foundation-sdk/timeseries';
import { NoUnit } from '@grafana/grafana-foundation-sdk/units';

/** One function for each kind of Grafana's panels, from PromQL to its JSON. It knows no metric of dpmesh. */

/** The data source chosen by the dashboard variable. */
const DATA_SOURCE = { type: 'prometheus', uid: '$' + '{datasource}' };

/** PromQL expressions by the legends of their series. */
export type Queries = Readonly<Record<string, string>>;

/** The colour of the lowest values, and others from a value upwards. */
export type Thresholds = readonly [base: string, ...(readonly [from: number, colour: string])[]];

/** No value is better than another. */
const NEUTRAL: Thresholds = ['blue'];

/** 0 is good, anything above is not. */
export const EXPECT_ZERO: Thresholds = ['green', [1, 'orange']];

/** Options of every panel, besides its title, a description (what it shows and when to worry, shown next to the title) and queries. */
export interface PanelOptions {
  /** By default none. */
  unit?: string;
  /** In columns of the grid, which has 24: 4 columns are 205 px on a screen of 1,280 px. */
  width: number;
  height?: number;
  decimals?: number;
  min?: number;
  max?: number;
  /** By default, no value is better than another. */
  thresholds?: Thresholds;
}

export type Panel =
  | series.PanelBuilder
  | stats.PanelBuilder
  | gauges.PanelBuilder
  | bars.PanelBuilder
  | tables.PanelBuilder;

/** The expression with all its sums and extremes for each run by itself, so that several can be chosen side by side. */
const perRun = (expr: string) =>
  expr.replace(
    /\b(sum|max|min|avg|count)( by \(([^)]*)\) )?\(/g,
    (_, name, __, labels) => `${name} by (${['run', 'run_id', ...(labels ? [labels] : [])].join(', ')}) (`,
  );

type QueryFormat = 'range' | 'instant' | 'table';

const target = ([legend, expr]: [string, string], index: number, format: QueryFormat) => {
  const query = new DataqueryBuilder()
    .refId(String.fromCharCode(65 + index))
    .datasource(DATA_SOURCE)
    .expr(perRun(expr))
    .legendFormat(format === 'table' ? '' : `${legend} · {{run}} {{run_id}}`);
  if (format === 'range') return query.range();
  return format === 'table' ? query.instant().format(PromQueryFormat.Table) : query.instant();
};

/** Sets the options that all panels share. */
function configure<P extends Panel>(
  panel: P,
  [title, description, queries]: [title: string, description: string, queries: Queries],
  { unit = NoUnit, width, height, decimals, min, max, thresholds = NEUTRAL }: PanelOptions,
  defaultHeight: number,
  format: QueryFormat,
): P {
  const [base, ...above] = thresholds;
  const steps = [{ value: null, color: base }, ...above.map(([value, color]) => ({ value, color }))];
  panel
    .title(title)
    .description(description)
    .datasource(DATA_SOURCE)
    .unit(unit)
    .span(width)
    .height(height ?? defaultHeight)
    .thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps))
    .targets(Object.entries(queries).map((query, i) => target(query, i, format)));
  if (decimals !== undefined) panel.decimals(decimals);
  if (min !== undefined) panel.min(min);
  if (max !== undefined) panel.max(max);
  return panel;
}

const colour = (mode: FieldColorModeId) => new FieldColorBuilder().mode(mode);
const last = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false);

const TEXT_MODES = {
  value: BigValueTextMode.Value,
  name: BigValueTextMode.Name,
  both: BigValueTextMode.ValueAndName,
};

/** The latest value with a sparkline; or the name of the series instead of it; or both, for several series. */
export function statPanel(
  title: string,
  description: string,
  queries: Queries,
  options: PanelOptions,
  show: keyof typeof TEXT_MODES = 'value',
) {
  const format = show === 'name' ? 'instant' : 'range';
  return configure(new stats.PanelBuilder(), [title, description, queries], options, 4, format)
    .reduceOptions(last())
    .colorMode(BigValueColorMode.Value)
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .graphMode(show === 'value' ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .textMode(TEXT_MODES[show]);
}

/** A value in little space. */
export const smallStat = (
  title: string,
  description: string,
  queries: Queries,
  options: Partial<PanelOptions> = {},
) => statPanel(title, description, queries, { width: 4, ...options });

/** Shows series of a panel, by name, as whole numbers of which none is better than another. */
export function asCounts<P extends Panel>(panel: P, names: readonly string[]): P {
  for (const name of names)
    panel.overrideByRegexp(`/^${name} ·/`, [
      { id: 'decimals', value: 0 },
      { id: 'color', value: { mode: FieldColorModeId.Fixed, fixedColor: 'blue' } },
    ]);
  return panel;
}

interface TimeSeriesOptions extends Omit<PanelOptions, 'width' | 'min'> {
  /** By default half of the grid. */
  width?: number;
  /** By default 0; null: as the values are. */
  min?: number | null;
  /** Steps instead of slopes, for values that change abruptly. */
  steps?: boolean;
  stacked?: boolean;
  /** Stacked bars, for what is counted in each interval. */
  events?: boolean;
  log?: boolean;
  /** For more series than a legend can hold. */
  hideLegend?: boolean;
  /** Name of the series drawn on a separate axis on the right. */
  rightAxis?: string;
}

const legend = (isShown: boolean) =>
  new VizLegendOptionsBuilder()
    .showLegend(isShown)
    .displayMode(isShown ? LegendDisplayMode.List : LegendDisplayMode.Hidden)
    .placement(LegendPlacement.Bottom)
    .calcs([]);

/** Time series. Thresholds above the lowest are drawn as dashed lines. */
export function timeSeriesPanel(
  title: string,
  description: string,
  queries: Queries,
  { width = 12, min = 0, events = false, stacked = events, ...options }: TimeSeriesOptions = {},
) {
  const shared = { width, ...options, ...(min !== null && { min }) };
  const isDashed = (options.thresholds ?? NEUTRAL).length > 1;
  const panel = configure(new series.PanelBuilder(), [title, description, queries], shared, 8, 'range')
    .colorScheme(colour(FieldColorModeId.PaletteClassic))
    .drawStyle(events ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .lineWidth(stacked ? 1 : 2)
    .fillOpacity(events ? 80 : stacked ? 40 : 8)
    .showPoints(VisibilityMode.Never)
    .spanNulls(false)
    .lineInterpolation(options.steps ? LineInterpolation.StepAfter : LineInterpolation.Linear)
    .thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(
        isDashed ? GraphThresholdsStyleMode.Dashed : GraphThresholdsStyleMode.Off,
      ),
    )
    .legend(legend(!options.hideLegend))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (options.log)
    panel.scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10));
  if (options.rightAxis)
    panel.overrideByRegexp(`/^${options.rightAxis} ·/`, [
      { id: 'custom.axisPlacement', value: AxisPlacement.Right },
    ]);
  return panel;
}

/** A vertical bar for the latest value of each series, by the label `x`. */
export function barChart(
  title: string,
  description: string,
  queries: Queries,
  options: PanelOptions,
  x: string,
) {
  return configure(new bars.PanelBuilder(), [title, description, queries], options, 8, 'table')
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .orientation(VizOrientation.Vertical)
    .xField(x)
    .xTickLabelSpacing(100)
    .showValue(VisibilityMode.Never)
    .fillOpacity(80)
    .legend(legend(false))
    .withTransformation({ id: 'organize', options: { excludeByName: { Time: true } } });
}

/** A horizontal bar for the latest value of each series, with the number. */
export function barGauge(title: string, description: string, queries: Queries, options: PanelOptions) {
  return configure(new gauges.PanelBuilder(), [title, description, queries], options, 8, 'instant')
    .reduceOptions(last())
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .displayMode(BarGaugeDisplayMode.Basic)
    .orientation(VizOrientation.Horizontal);
}

/** A table column: the field it shows, its heading and its unit. */
export type TableColumn = readonly [field: string, heading: string, unit?: string];

/** A table with a row for each combination of labels. Joins the values of the queries on their shared labels. */
export function tablePanel(
  title: string,
  description: string,
  queries: Queries,
  options: PanelOptions,
  shown: readonly TableColumn[],
  hidden: readonly string[],
) {
  const panel = configure(new tables.PanelBuilder(), [title, description, queries], options, 8, 'table')
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .withTransformation({ id: 'merge', options: {} })
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: Object.fromEntries(['Time', ...hidden].map((name) => [name, true])),
        indexByName: Object.fromEntries(shown.map(([field], i) => [field, i])),
        renameByName: Object.fromEntries(shown.map(([field, heading]) => [field, heading])),
      },
    });
  for (const [, heading, unit] of shown)
    if (unit) panel.overrideByName(heading, [{ id: 'unit', value: unit }]);
  return panel;
}

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
