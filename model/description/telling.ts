/** What a column says of the rows of a node: the median of its values there and in all other rows, or the shares of rows with a value. */
export interface TellingColumn {
  /** Such as `high income`, or `region = north`. */
  text: string;
  measure: 'median' | 'share';
  own: number;
  others: number;
}
