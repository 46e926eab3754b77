/** A run that did not come to an end within its limits: all that is known of it is that. */
import type { Run } from './comparison.ts';
import { emptyRun } from './empty-run.ts';
import type { Frame } from './runner.ts';

/** Why it did not: the deadline, or the limit of memory. */
export type Unfinished = 'timed-out' | 'out-of-memory';

/** The run of a scenario under a strategy, by their places in the frame; `limit` is in seconds, or in MiB. */
export function unfinishedRun(
  frame: Frame,
  scenario: number,
  strategy: number,
  fate: Unfinished,
  limit: number,
): Run {
  const detail =
    fate === 'timed-out'
      ? `it was ended after ${limit} s (--timeout)`
      : `it was ended for taking more than ${limit} MiB of memory (--memory)`;
  return {
    ...emptyRun({
      scenario: frame.scenarios[scenario]?.name ?? '',
      strategy: frame.strategies[strategy]?.name ?? '',
      paging: frame.paging,
      engine: 'core',
    }),
    fate,
    detail,
    because: `It did not come to an end: ${detail}.`,
  };
}
