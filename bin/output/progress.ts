/** One line on a terminal's standard error, for work that takes longer than a second; in a pipe, nothing. */
import type { Io } from '../io.ts';

const QUIET_MS = 1000;
const EVERY_MS = 100;

/** A line that rewrites itself. */
export interface Progress {
  /** Says what is being done; drawn only when it has gone on for a second. */
  readonly show: (text: string) => void;
  /** Takes the line away. */
  readonly clear: () => void;
}

/** A progress line for this command; `now` is given by tests. */
export function createProgress(io: Io, now: () => number = () => performance.now()): Progress {
  const start = now();
  let drawn = 0;
  return {
    show(text) {
      const t = now();
      if (!io.progress || t - start < QUIET_MS || (drawn > 0 && t - drawn < EVERY_MS)) return;
      drawn = t;
      io.err(`\r\u001b[K${text.slice(0, (io.columns ?? 80) - 1)}`);
    },
    clear() {
      if (drawn > 0) io.err('\r\u001b[K');
      drawn = 0;
    },
  };
}
