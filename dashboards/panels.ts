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

/** The data source that the dashboard's variable has chosen. */
export const SOURCE = { type: 'prometheus', uid: '$' + '{datasource}' };

/** An expression, and what its series are called. */
export type Query = readonly [expr: string, legend: string];

/** From this value on (null: from the lowest), this colour. */
export type Limits = readonly (readonly [from: number | null, colour: string])[];

/** No value is better than another. */
export const NEUTRAL: Limits = [[null, 'blue']];

/** Nought is well, anything above it is not. */
export const NONE: Limits = [
  [null, 'green'],
  [1, 'orange'],
];

/** What every panel says of itself. */
export interface Look {
  title: string;
  /** What is seen, and when to worry; Grafana shows it behind the title. */
  about: string;
  unit: string;
  /** Of the grid's 24 columns: 4 are 205 px on a screen of 1,280. */
  width: number;
  height?: number;
  decimals?: number;
  min?: number;
  max?: number;
  limits: Limits;
  queries: readonly Query[];
}

export type Panel =
  | series.PanelBuilder
  | stats.PanelBuilder
  | gauges.PanelBuilder
  | bars.PanelBuilder
  | tables.PanelBuilder;

type Form = 'range' | 'instant' | 'table';

const target = ([expr, legend]: Query, index: number, form: Form) => {
  const query = new DataqueryBuilder()
    .refId(String.fromCharCode(65 + index))
    .datasource(SOURCE)
    .expr(expr)
    .legendFormat(legend);
  if (form === 'range') return query.range();
  return form === 'table' ? query.instant().format(PromQueryFormat.Table) : query.instant();
};

function dress<P extends Panel>(panel: P, look: Look, height: number, form: Form): P {
  panel
    .title(look.title)
    .description(look.about)
    .datasource(SOURCE)
    .unit(look.unit)
    .span(look.width)
    .height(look.height ?? height)
    .thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps(look.limits.map(([value, color]) => ({ value, color }))),
    )
    .targets(look.queries.map((query, i) => target(query, i, form)));
  if (look.decimals !== undefined) panel.decimals(look.decimals);
  if (look.min !== undefined) panel.min(look.min);
  if (look.max !== undefined) panel.max(look.max);
  return panel;
}

const colour = (mode: FieldColorModeId) => new FieldColorBuilder().mode(mode);
const last = () => new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false);

/** One figure with its course behind it; `name`: the figure is the name of the series. */
export function figure(look: Look, show: 'value' | 'name' = 'value') {
  const panel = dress(new stats.PanelBuilder(), look, 4, show === 'name' ? 'instant' : 'range');
  return panel
    .reduceOptions(last())
    .colorMode(BigValueColorMode.Value)
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .graphMode(show === 'name' ? BigValueGraphMode.None : BigValueGraphMode.Area)
    .textMode(show === 'name' ? BigValueTextMode.Name : BigValueTextMode.Value);
}

/** How a course over time is drawn. */
export interface Course {
  /** Steps rather than slopes: for what changes at once. */
  steps?: boolean;
  stacked?: boolean;
  bars?: boolean;
  log?: boolean;
  /** More series than a legend can hold. */
  many?: boolean;
  /** Names of series that have an axis of their own on the right. */
  right?: string;
}

/** Courses over time. Limits above the lowest are drawn as dashed lines. */
export function course(look: Look, how: Course = {}) {
  const panel = dress(new series.PanelBuilder(), look, 8, 'range')
    .colorScheme(colour(FieldColorModeId.PaletteClassic))
    .drawStyle(how.bars ? GraphDrawStyle.Bars : GraphDrawStyle.Line)
    .lineWidth(how.stacked ? 1 : 2)
    .fillOpacity(how.bars ? 80 : how.stacked ? 40 : 8)
    .showPoints(VisibilityMode.Never)
    .spanNulls(false)
    .lineInterpolation(how.steps ? LineInterpolation.StepAfter : LineInterpolation.Linear)
    .thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(
        look.limits.length > 1 ? GraphThresholdsStyleMode.Dashed : GraphThresholdsStyleMode.Off,
      ),
    )
    .legend(
      new VizLegendOptionsBuilder()
        .showLegend(!how.many)
        .displayMode(how.many ? LegendDisplayMode.Hidden : LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom)
        .calcs([]),
    )
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending));
  if (how.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (how.log)
    panel.scaleDistribution(new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10));
  if (how.right) {
    panel.overrideByName(how.right, [{ id: 'custom.axisPlacement', value: AxisPlacement.Right }]);
  }
  return panel;
}

/** A bar for each series as it stands now, upright, by the label `x`. */
export function columns(look: Look, x: string) {
  return dress(new bars.PanelBuilder(), look, 8, 'table')
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

/** A lying bar for each series as it stands now, with its figure. */
export function levels(look: Look) {
  return dress(new gauges.PanelBuilder(), look, 8, 'instant')
    .reduceOptions(last())
    .colorScheme(colour(FieldColorModeId.Thresholds))
    .displayMode(BarGaugeDisplayMode.Basic)
    .orientation(VizOrientation.Horizontal);
}

/** A column of a table: the field that it shows, its heading, its unit. */
export type Column = readonly [field: string, heading: string, unit?: string];

/** A row for each combination of labels; the queries' values are joined by the labels that they share. */
export function table(look: Look, shown: readonly Column[], hidden: readonly string[]) {
  const panel = dress(new tables.PanelBuilder(), look, 8, 'table')
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
