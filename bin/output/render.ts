/** A Comparison in a format: the renderers are loaded when one is needed. */
import type { Format, ReportOptions } from '../../reports/index.ts';
import type { Comparison } from '../../scenarios/run/comparison.ts';

/** The formats' names, for the help and for completion; a test holds them against the renderers. */
export const FORMATS = [
  'table',
  'json',
  'csv',
  'md',
  'html',
  'ktap',
  'junit',
] as const satisfies readonly Format[];

/** The whole report as text. */
export async function render(c: Comparison, format: Format, options: ReportOptions = {}): Promise<string> {
  const { RENDERERS } = await import('../../reports/index.ts');
  return RENDERERS[format](c, options);
}
