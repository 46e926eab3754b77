#!/usr/bin/env node
/** The program: the process goes in, an exit code comes out. Everything else is in `cli.ts`. */
import { basename } from 'node:path';
import { run } from './cli.ts';
import { INTERNAL_ERROR, type Io } from './io.ts';
import { removeParts } from './output/output.ts';

const USAGE = 2;
/** Signals that end the program after what is finished has been kept, and the exit code of each: 128 and its number. */
const ENDING = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** The exit code of the run; nobody else's counts. */
let verdict: number | undefined;
let endedBy: keyof typeof ENDING | undefined;
function end(code: number): never {
  verdict = code;
  process.exit();
}

const stop = new AbortController();
for (const signal of Object.keys(ENDING) as (keyof typeof ENDING)[]) {
  process.on(signal, () => {
    // The first signal asks; the second does not.
    if (endedBy !== undefined) end(ENDING[signal]);
    endedBy = signal;
    stop.abort();
  });
}

let closed = false;
let failed = false;
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // The reader went away (`compare … | head`): there is nobody left to write for. Anything else is told once.
    if (error.code !== 'EPIPE' && !closed) {
      failed = true;
      if (stream === process.stdout) process.stderr.write(`compare: standard output: ${error.message}\n`);
    }
    closed = true;
    stop.abort();
  });
}

const called = basename(process.argv[1] ?? '').replace(/\.js$/, '');
const name = called === 'faultline' ? called : 'compare';

process.on('uncaughtException', (error) => {
  process.stderr.write(
    `${name}: ${INTERNAL_ERROR}: ${error instanceof Error ? error.stack : String(error)}\n`,
  );
  end(USAGE);
});
process.on('exit', () => {
  removeParts();
  if (verdict === undefined)
    process.stderr.write(`${name}: ended before it was done; nothing was compared\n`);
  // A full disk is noticed when the last write comes back, which may be after the run.
  process.exitCode = failed ? USAGE : (verdict ?? USAGE);
});

const { NO_COLOR, FORCE_COLOR } = process.env;
const forced = Boolean(FORCE_COLOR) && FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
const io: Io = {
  out: (text) => void (closed || process.stdout.write(text)),
  err: (text) => void (closed || process.stderr.write(text)),
  cwd: process.cwd(),
  name,
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  progress: process.stderr.isTTY === true,
  colour: !NO_COLOR && (forced || process.stdout.isTTY === true),
  signal: stop.signal,
};

const code = await run(process.argv.slice(2), io);
verdict = code === ENDING.SIGINT && endedBy !== undefined ? ENDING[endedBy] : code;
