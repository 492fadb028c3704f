/** The files of a report: it knows not what is in them. */

export const REPORT = 'report.html';
const NOW = ['clusters', 'clusters-dark', 'map', 'exemplars', 'river', 'dendrogram', 'k', 'losses'] as const;
/** Of reports of earlier versions, which a new one replaces. */
const EARLIER = ['sizes', 'confusion', 'sub-clusters'];
export type PictureName = (typeof NOW)[number];
export const PICTURES: readonly string[] = [...NOW, ...EARLIER];

export const filesOfPicture = (name: string) => [`${name}.svg`, `${name}.png`];
export const REPORT_FILES = [REPORT, ...PICTURES.flatMap(filesOfPicture)];
