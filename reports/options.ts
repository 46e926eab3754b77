/**
 * What a renderer may be told besides the Comparison. All of it comes from outside: a report asks neither the
 * terminal nor the clock.
 */
import type { ThreadClaimResult } from './findings/claims-text.ts';

/** Options all renderers share; each reads what concerns it. */
export interface ReportOptions {
  /** Columns of the terminal; 80 when absent. */
  readonly width?: number;
  /** Colour the terminal table. Every colour repeats what a word says. */
  readonly color?: boolean;
  /** Results of the thread's claims, for the section about them. */
  readonly thread?: readonly ThreadClaimResult[];
  /** Names of files that lie beside the HTML report, which then links to them. */
  readonly beside?: { readonly json?: string; readonly csv?: string };
}
