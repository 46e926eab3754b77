/**
 * The world outside a command: where text goes, where paths start, what stops it. `compare.ts` makes one from the
 * process, tests make one from strings; nothing else in the project touches the process.
 */

/** 0 all claims hold · 1 one is broken, or something differs · 2 usage or bad input · 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 130;

/** What the program says when all else fails: an error nobody foresaw, and the exit code of the user's mistakes. */
export const INTERNAL_ERROR = 'internal error, please report it';

/** What a command may know of the world, and how it speaks. */
export interface Io {
  /** Writes to standard output. */
  readonly out: (text: string) => void;
  /** Writes to standard error. */
  readonly err: (text: string) => void;
  /** Relative paths start here. */
  readonly cwd: string;
  /** The name the program was called by. */
  readonly name: string;
  /** Columns of the terminal that standard output is; undefined when it is none. */
  readonly columns: number | undefined;
  /** Standard error is a terminal, so progress may be drawn on it. */
  readonly progress: boolean;
  /** Colours and weights are welcome on standard output (a terminal, and NO_COLOR is not set). */
  readonly colour: boolean;
  /** Aborted by Ctrl-C: finish what is in hand, print what is finished. */
  readonly signal: AbortSignal;
}

/** The user's mistake: one line that says what, where, and what would be right. Ends the program with 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What was thrown, as text. Anything can be thrown: an object whose `message` or `toString` throws as well. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message : thrown);
  } catch {
    return 'something that cannot be put into words';
  }
}

/** The first line of whatever was thrown, for a message that has to stay on one line. */
export function firstLine(thrown: unknown): string {
  return textOf(thrown).split(/\r?\n/, 1)[0]?.trim() || 'no message';
}

/** Its kind and its first line: `TypeError: x is not a function`; what is no error says so. */
export function kindAndLine(thrown: unknown): string {
  let kind = 'it threw';
  try {
    if (thrown instanceof Error) kind = String(thrown.name);
  } catch {
    // A getter of the user's: what it threw is no better known than the error.
  }
  return `${kind}: ${firstLine(thrown)}`;
}

/** The `code` of a system error (`ENOENT`), if it is one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
