#!/usr/bin/env node
/** The program: the process goes in, an exit code comes out. Everything else is in `cli.ts`. */
import { basename } from 'node:path';
import { run } from './cli.ts';
import type { Io } from './io.ts';

const INTERRUPTED = 130;
const USAGE = 2;

const stop = new AbortController();
let presses = 0;
process.on('SIGINT', () => {
  // The first Ctrl-C asks; the second does not.
  if (presses++ > 0) process.exit(INTERRUPTED);
  stop.abort();
});

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
const io: Io = {
  out: (text) => void (closed || process.stdout.write(text)),
  err: (text) => void (closed || process.stderr.write(text)),
  cwd: process.cwd(),
  name: called === 'faultline' ? called : 'compare',
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  progress: process.stderr.isTTY === true,
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR,
  signal: stop.signal,
};

process.exitCode = await run(process.argv.slice(2), io);
// A full disk is noticed when the last write comes back, which may be after the run.
process.on('exit', () => {
  if (failed) process.exitCode = USAGE;
});
