/** What the scheduler counts, from its start. */
export interface Counts {
  /** Units sent to another worker because theirs had left. */
  unitsReassigned: number;
  /** Units of stragglers that were also sent to idle workers. */
  unitsRaced: number;
  resultsLate: number;
  resultsNotAskedFor: number;
  resultsWrongShape: number;
  resultsOfAnotherTerm: number;
  workersSuspected: number;
  hellosRefused: number;
  /** Dropped because they exceeded the rate at which workers may join. */
  hellosIgnored: number;
  messagesMalformed: number;
  /** Dropped unread because their sender exceeded its rate limit. */
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
