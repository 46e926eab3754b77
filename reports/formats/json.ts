/** The Comparison itself, as JSON that a later `compare report` or `compare diff` reads back. */
import type { Comparison } from '../../scenarios/run/comparison.ts';

/** Indented, so that two of them can be compared by eye. */
export function renderJson(c: Comparison): string {
  return [...jsonPieces(c)].join('');
}

/** The same in pieces, a run each: the whole text of many runs is larger than what it is made from. */
export function* jsonPieces(c: Comparison): Generator<string> {
  const { runs } = c;
  if (runs.length === 0) return yield `${JSON.stringify(c, null, 2)}\n`;
  // The place of the runs, which no other text of the JSON can be.
  const mark = '"runs": []';
  const whole = JSON.stringify({ ...c, runs: [] }, null, 2);
  const at = whole.indexOf(`\n  ${mark}`) + 3;
  yield `${whole.slice(0, at)}"runs": [\n`;
  for (const [i, run] of runs.entries()) {
    const text = JSON.stringify(run, null, 2).replaceAll('\n', '\n    ');
    yield `    ${text}${i < runs.length - 1 ? ',' : ''}\n`;
  }
  yield `  ]${whole.slice(at + mark.length)}\n`;
}
