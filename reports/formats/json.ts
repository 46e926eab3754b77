/** The Comparison itself, as JSON that a later `compare report` or `compare diff` reads back. */
import type { Comparison } from '../../scenarios/run/comparison.ts';

/** Indented, so that two of them can be compared by eye. */
export function renderJson(c: Comparison): string {
  return `${JSON.stringify(c, null, 2)}\n`;
}
