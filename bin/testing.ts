/** For tests: the command line run into strings. */
import { run } from './cli.ts';
import type { ExitCode, Io } from './io.ts';

/** What a command line came to. */
export interface Outcome {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs a command line as `compare.ts` does, but into strings; `io` overrides what a test is about. */
export async function runCli(argv: readonly string[], io: Partial<Io> = {}): Promise<Outcome> {
  let out = '';
  let err = '';
  const code = await run(argv, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    cwd: '.',
    name: 'compare',
    columns: 80,
    progress: false,
    colour: false,
    signal: new AbortController().signal,
    ...io,
  });
  return { code, out, err };
}
