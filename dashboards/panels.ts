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
  FieldColorBuilder,
  FieldColorModeId,
  ThresholdsConfigBuilder,
  ThresholdsMode,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import * as stats from '@grafana/grafana-foundation-sdk/stat';
import * as tables from '@grafana/grafana-foundation-sdk/table';
import * as series from '@grafana/grafana-foundation-sdk/timeseries';
import { NoUnit } from '@grafana/grafana-foundation-sdk/units';

/** The data source chosen by the dashboard variable. */
export const DATA_SOURCE = { type: 'prometheus', uid: '$' + '{datasource}' };

/** A PromQL expression and the legend of its series. */
export type Query = readonly [expr: string, legend: string];

/** Colours from a value upwards; null: from the lowest value. */
export type Thresholds = readonly (readonly [from: number | null, colour: string])[];

/** No value is better than another. */
const NEUTRAL: Thresholds = [[null, 'blue']];

/** 0 is good, anything above is not. */
export const EXPECT_ZERO: Thresholds = [
  [null, 'green'],
  [1, 'orange'],
];

/** Options of every panel. */
export interface PanelOptions {
  title: string;
  /** What the panel shows and when to worry; Grafana shows it next to the title. */
  description: string;
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
  queries: readonly Query[];
}

export type Panel =
  | series.PanelBuilder
  | stats.PanelBuilder
  | gauges.PanelBuilder
  | bars.PanelBuilder
  | tables.PanelBuilder;

/** The expression with all its sums and extremes for each run by itself, so that several can be chosen side by side. */
export const perRun = (expr: string) =>
  expr.replace(
    /\b(sum|max|min|avg|count)( by \(([^)]*)\) )?\(/g,
    (_, name, __, labels) => `${name} by (${['run', 'run_id', ...(labels ? [labels] : [])].join(', ')}) (`,
  );

type QueryFormat = 'range' | 'instant' | 'table';

const target = ([expr, legend]: Query, index: number, format: QueryFormat) => {
  const query = new DataqueryBuilder()
    .refId(String.fromCharCode(65 + index))
    .datasource(DATA_SOURCE)
    .expr(perRun(expr))
    .legendFormat(legend && `${legend} · {{run}} {{run_id}}`);
  if (format === 'range') return query.range();
  return format === 'table' ? query.instant().format(PromQueryFormat.Table) : query.instant();
};

/** Sets the options that all panels share. */
function configure<P extends Panel>(
  panel: P,
  options: PanelOptions,
  defaultHeight: number,
  format: QueryFormat,
): P {
  panel
    .title(options.title)
    .description(options.description)
    .datasource(DATA_SOURCE)
    .unit(options.unit ?? NoUnit)
    .span(options.width)
    .height(options.height ?? defaultHeight)
    .thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps((options.thresholds ?? NEUTRAL).map(([value, color]) => ({ value, color }))),
    )
    .targets(options.queries.map((query, i) => target(query, i, format)));
  if (options.decimals !== undefined) panel.decimals(options.decimals);
  if (options.min !== undefined) panel.min(options.min);
  if (options.max !== undefined) panel.max(options.max);
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
export function statPanel(options: PanelOptions, show: keyof typeof TEXT_MODES = 'value') {
  const panel = configure(new stats.PanelBuilder(), options, 4, show === 'name' ? 'instant' : 'range');
  return panel
    .reduceOptions(last())
    .colorMode(BigValueColorMode.Value)
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .graphMode(show === 'value' ? BigValueGraphMode.Area : BigValueGraphMode.None)
    .textMode(TEXT_MODES[show]);
}

/** A value in little space. */
export const smallStat = (options: Omit<PanelOptions, 'width'>) => statPanel({ width: 4, ...options });

/** Shows series of a panel, by name, as whole numbers of which none is better than another. */
export function asCounts<P extends Panel>(panel: P, names: readonly string[]): P {
  for (const name of names)
    panel.overrideByRegexp(`/^${name} ·/`, [
      { id: 'decimals', value: 0 },
      { id: 'color', value: { mode: FieldColorModeId.Fixed, fixedColor: 'blue' } },
    ]);
  return panel;
}

/** How a time series is drawn. */
export interface TimeSeriesStyle {
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

type TimeSeriesOptions = Omit<PanelOptions, 'width' | 'min'> &
  TimeSeriesStyle & {
    /** By default half of the grid. */
    width?: number;
    /** By default 0; null: as the values are. */
    min?: number | null;
  };

/** Time series. Thresholds above the lowest are drawn as dashed lines. */
export function timeSeriesPanel(given: TimeSeriesOptions) {
  const { min = 0, events = false, ...rest } = given;
  const options = {
    ...{ width: 12, bars: events, stacked: events, ...rest },
    ...(min !== null && { min }),
  };
  const panel = configure(new series.PanelBuilder(), options, 8, 'range')
    .colorScheme(colour(FieldColorModeId.PaletteClassic))
    .drawStyle(options.bars ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .lineWidth(options.stacked ? 1 : 2)
    .fillOpacity(options.bars ? 80 : options.stacked ? 40 : 8)
    .showPoints(VisibilityMode.Never)
    .spanNulls(false)
    .lineInterpolation(options.steps ? LineInterpolation.StepAfter : LineInterpolation.Linear)
    .thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(
        (options.thresholds ?? NEUTRAL).length > 1
          ? GraphThresholdsStyleMode.Dashed
          : GraphThresholdsStyleMode.Off,
      ),
    )
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(!options.hideLegend)
        .displayMode(options.hideLegend ? LegendDisplayMode.Hidden : LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (options.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (options.log)
    panel.scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10));
  if (options.rightAxis) {
    panel.overrideByRegexp(`/^${options.rightAxis} ·/`, [
      { id: 'custom.axisPlacement', value: AxisPlacement.Right },
    ]);
  }
  return panel;
}

/** A vertical bar for the latest value of each series, by the label `x`. */
export function barChart(options: PanelOptions, x: string) {
  return configure(new bars.PanelBuilder(), options, 8, 'table')
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .orientation(VizOrientation.Vertical)
    .xField(x)
    .xTickLabelSpacing(100)
    .showValue(VisibilityMode.Never)
    .fillOpacity(80)
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(false)
        .displayMode(LegendDisplayMode.Hidden)
        .placement(LegendPlacement.Bottom)
        .calcs([]),
    )
    .withTransformation({ id: 'organize', options: { excludeByName: { Time: true } } });
}

/** A horizontal bar for the latest value of each series, with the number. */
export function barGauge(options: PanelOptions) {
  return configure(new gauges.PanelBuilder(), options, 8, 'instant')
    .reduceOptions(last())
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .displayMode(BarGaugeDisplayMode.Basic)
    .orientation(VizOrientation.Horizontal);
}

/** A table column: the field it shows, its heading and its unit. */
export type TableColumn = readonly [field: string, heading: string, unit?: string];

/** A table with a row for each combination of labels. Joins the values of the queries on their shared labels. */
export function tablePanel(options: PanelOptions, shown: readonly TableColumn[], hidden: readonly string[]) {
  const panel = configure(new tables.PanelBuilder(), options, 8, 'table')
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
  for (const [, heading, unit] of shown) {
    if (unit) panel.overrideByName(heading, [{ id: 'unit', value: unit }]);
  }
  return panel;
}
