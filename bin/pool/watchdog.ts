/**
 * A thread beside a worker's work, which may be busy for ever: ends the process when it takes more memory than it may
 * (the engine of the language bounds only its own heap, not the arrays beside it), and when there is nobody left to
 * work for.
 */
import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { OUT_OF_MEMORY } from './messages.ts';

const EVERY_MS = 50;
/** What a process takes before it does anything. */
const OWN_BYTES = 160 * 2 ** 20;

const { parent, memory }: { readonly parent: number; readonly memory: number } = workerData;

setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
  if (process.memoryUsage.rss() > memory * 2 ** 20 + OWN_BYTES) {
    writeSync(2, `\n${OUT_OF_MEMORY}\n`);
    process.kill(process.pid, 'SIGKILL');
  }
}, EVERY_MS);
