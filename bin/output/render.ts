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

/** The whole report in pieces, where it is large: JSON comes run by run. */
export async function renderPieces(
  c: Comparison,
  format: Format,
  options: ReportOptions = {},
): Promise<Iterable<string>> {
  if (format === 'json') return (await import('../../reports/formats/json.ts')).jsonPieces(c);
  return [await render(c, format, options)];
}

/** The whole report as text. */
export async function render(c: Comparison, format: Format, options: ReportOptions = {}): Promise<string> {
  const { RENDERERS } = await import('../../reports/index.ts');
  return RENDERERS[format](c, options);
}
