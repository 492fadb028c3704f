/** Text of others on its way to a terminal: what would move the cursor or set a title there is shown as a sign. */
export const printable = (text: string) => text.replace(/(?![\n\t])\p{Cc}/gu, '\ufffd');
