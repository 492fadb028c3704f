/** What a scheduler counts from its start on. */
export interface Counts {
  /** Units that went to another worker, as theirs had left. */
  unitsReassigned: number;
  /** Units of stragglers that idle workers were given too. */
  unitsRaced: number;
  resultsLate: number;
  resultsNotAskedFor: number;
  resultsWrongShape: number;
  resultsOfAnotherTerm: number;
  workersSuspected: number;
  hellosRefused: number;
  /** Beyond the rate at which workers may arrive. */
  hellosIgnored: number;
  messagesMalformed: number;
  /** Unread, of peers that send too many. */
  messagesIgnored: number;
  fetchesRefused: number;
}

export const noCounts = (): Counts => ({
  unitsReassigned: 0,
  unitsRaced: 0,
  resultsLate: 0,
  resultsNotAskedFor: 0,
  resultsWrongShape: 0,
  resultsOfAnotherTerm: 0,
  workersSuspected: 0,
  hellosRefused: 0,
  hellosIgnored: 0,
  messagesMalformed: 0,
  messagesIgnored: 0,
  fetchesRefused: 0,
});
