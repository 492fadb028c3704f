/** The files of a report: it knows not what is in them. */

export const REPORT = 'report.html';
export const PICTURES = [
  'clusters',
  'clusters-dark',
  'map',
  'exemplars',
  'river',
  'dendrogram',
  'k',
  'losses',
] as const;
export type PictureName = (typeof PICTURES)[number];

export const filesOfPicture = (name: string) => [`${name}.svg`, `${name}.png`];
export const REPORT_FILES = [REPORT, ...PICTURES.flatMap(filesOfPicture)];
