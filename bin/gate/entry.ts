/**
 * The program whose instructions and times a gate measures: one strategy's hot loops and nothing else. Everything it
 * is told comes by its one argument, and for times by messages. Slowdowns for the self-test are planted here, as more accesses: the engine has
 * none.
 */

import { RAM_64, RAM_4096, ROM_64 } from '../../engine/core/batch/bench-machine.ts';
import { type Loop, LoopSet, OPS } from '../../engine/core/batch/loops.ts';
import { findStrategy } from '../../strategies/index.ts';
import { slice } from '../bench/pairs.ts';

/** What it is told. */
export interface EntryTask {
  readonly what: 'times' | 'instructions';
  readonly strategy: string;
  /** Instructions: the loop, and how many batches of it. */
  readonly op?: string;
  readonly batches?: number;
  /** This share of accesses more than are counted. */
  readonly extra?: number;
}

/** Runs the extra accesses of a planted slowdown. */
function plant(set: LoopSet, loop: Loop, share: number): void {
  const n = Math.round(loop.operations * share);
  if (n === 0) return;
  const { plain, cached } = set;
  if (loop.op === 'read-hit') plain.batch.runReads(RAM_64, 63, n);
  else if (loop.op === 'write-hit') plain.batch.runWrites(RAM_64, 63, n);
  else if (loop.op === 'rom-write') plain.batch.runWrites(ROM_64, 63, n);
  else if (loop.op === 'rom-write-cached') cached.batch.runWrites(ROM_64, 63, n);
  else plain.batch.runReads(RAM_4096, 4095, n);
}

/** Serves slices: a loop's name comes in, the nanoseconds an access of one slice go out. */
function serve(set: LoopSet, extra: number): void {
  const loops = new Map(set.loops().map((loop) => [String(loop.op), loop]));
  process.on('message', (op) => {
    const loop = loops.get(String(op));
    if (loop === undefined) return;
    const run = (): void => {
      loop.run();
      plant(set, loop, extra);
    };
    process.send?.(slice({ operations: loop.operations, prepare: loop.prepare, run }));
  });
  process.send?.([...loops.keys()]);
}

function instructions(set: LoopSet, op: string, batches: number, extra: number): number {
  const loop = set.loops().find((l) => l.op === op);
  if (loop === undefined) throw new Error(`no loop ${op}; there are ${OPS.join(', ')}`);
  for (let i = 0; i < batches; i++) {
    loop.prepare?.();
    loop.run();
    plant(set, loop, extra);
  }
  return loop.operations * batches;
}

const task = JSON.parse(process.argv[2] ?? '{}') as EntryTask;
const strategy = findStrategy(task.strategy);
if (strategy === undefined) throw new Error(`no strategy ${task.strategy}`);
const set = new LoopSet(strategy);
const extra = task.extra ?? 0;
if (task.what === 'times') serve(set, extra);
else {
  const accesses = instructions(set, task.op ?? 'rom-write', task.batches ?? 10, extra);
  process.stdout.write(`${JSON.stringify({ accesses })}\n`);
}
