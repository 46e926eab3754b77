/** All formats a Comparison can be rendered in, by the name a command line uses. */
import type { Comparison } from '../scenarios/comparison.ts';
import { renderCsv } from './csv.ts';
import { renderJson } from './json.ts';
import { renderJunit } from './junit.ts';
import { renderKtap } from './ktap.ts';
import { renderMarkdown } from './markdown.ts';
import type { ReportOptions } from './options.ts';
import { renderText } from './text.ts';

export {
  claimsJson,
  claimsText,
  judgeClaims,
  type ThreadClaimResult,
  trialName,
  trialsOf,
} from './claims.ts';
export { type ComparisonDiff, diffComparisons, renderDiff } from './diff.ts';
export { githubAnnotations, githubSummary } from './github.ts';
export type { ReportOptions } from './options.ts';
export { renderSeries, type SeriesGrid, seriesGrid } from './series.ts';
export { summarize, verdict } from './summary.ts';
export { comparisonDigest } from './words.ts';

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
