// Grafana's types, under the names that schema.test.ts looks up: `<type of panel>Options` and `<type of panel>Fields`.
import type * as bars from '@grafana/grafana-foundation-sdk/barchart';
import type * as gauges from '@grafana/grafana-foundation-sdk/bargauge';
import type { Panel as AnyPanel, Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import type { Dataquery } from '@grafana/grafana-foundation-sdk/prometheus';
import type * as stats from '@grafana/grafana-foundation-sdk/stat';
import type * as tables from '@grafana/grafana-foundation-sdk/table';
import type * as series from '@grafana/grafana-foundation-sdk/timeseries';

// Queries are of each data source’s own type.
export type Board = Omit<Dashboard, 'panels'>;
export type Panel = Omit<AnyPanel, 'targets'>;
export type Query = Pick<Dataquery, keyof Dataquery>;
export type barchartOptions = Partial<bars.Options>;
export type barchartFields = Partial<bars.FieldConfig>;
export type bargaugeOptions = Partial<gauges.Options>;
export type bargaugeFields = Record<string, never>;
export type statOptions = Partial<stats.Options>;
export type statFields = Record<string, never>;
export type tableOptions = Partial<tables.Options>;
export type tableFields = Partial<tables.FieldConfig>;
export type timeseriesOptions = Partial<series.Options>;
export type timeseriesFields = Partial<series.FieldConfig>;
