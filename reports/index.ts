/** All formats a Comparison can be rendered in, by the name a command line uses. */
import type { Comparison } from '../scenarios/run/comparison.ts';
import { renderCsv } from './formats/csv.ts';
import { renderJson } from './formats/json.ts';
import { renderJunit } from './formats/junit.ts';
import { renderKtap } from './formats/ktap.ts';
import { renderMarkdown } from './formats/markdown.ts';
import { renderText } from './formats/text.ts';
import type { ReportOptions } from './options.ts';

export {
  claimsJson,
  claimsText,
  judgeClaims,
  type ThreadClaimResult,
  trialName,
  trialsOf,
} from './findings/claims-text.ts';
export { type ComparisonDiff, diffComparisons, renderDiff } from './findings/diff.ts';
export { renderSeries, type SeriesGrid, seriesGrid } from './findings/series-text.ts';
export { githubAnnotations, githubSummary } from './formats/github.ts';
export type { ReportOptions } from './options.ts';
export { comparisonDigest } from './print/words.ts';
export { summarize, verdict } from './summary.ts';

/** A report: the whole of it, as text. Same Comparison and options, same text. */
export type Renderer = (c: Comparison, options?: ReportOptions) => string | Promise<string>;

/** Name to renderer. HTML pulls in the chart compiler, so it is loaded when it is asked for. */
export const RENDERERS = {
  table: renderText,
  json: renderJson,
  csv: renderCsv,
  md: renderMarkdown,
  html: async (c: Comparison, options: ReportOptions = {}): Promise<string> =>
    (await import('./html/page.ts')).renderHtml(c, options),
  ktap: renderKtap,
  junit: renderJunit,
} satisfies Readonly<Record<string, Renderer>>;

/** A format's name. */
export type Format = keyof typeof RENDERERS;

/** The formats' names, the default first. */
export const FORMATS = Object.keys(RENDERERS) as readonly Format[];
