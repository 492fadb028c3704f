/** What is done about workers whose claims about the data are false. Both are counted, or are events, and named in the log. */
export interface Witnesses {
  /**
   * It did not read the coordinator's rows. From now on it gets them from there; one that does so already lies or has faulty
   * memory, and is sent away.
   */
  misread(worker: string, claim: string): void;
  /** It claims what no other file explains: it is sent away. */
  sendAway(worker: string, claim: string): void;
}
