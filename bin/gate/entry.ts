/**
 * The program whose instructions and times a gate measures: one strategy's hot loops and nothing else. Everything it
 * is told comes by its one argument. Slowdowns for the self-test are planted here, as more accesses: the engine has
 * none.
 */
import { type Loop, LoopSet, OPS } from '../../engine/core/bench/loops.ts';
import { RAM_64, RAM_4096, ROM_64 } from '../../engine/core/bench/workload.ts';
import { findStrategy } from '../../strategies/index.ts';
import { median } from '../bench/pairs.ts';

/** What it is told. */
export interface EntryTask {
  readonly what: 'times' | 'instructions';
  readonly strategy: string;
  /** Instructions: the loop, and how many batches of it. */
  readonly op?: string;
  readonly batches?: number;
  /** Times: milliseconds of samples a loop. */
  readonly ms?: number;
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

function times(set: LoopSet, ms: number, extra: number): Record<string, number> {
  const one = (loop: Loop): number => {
    loop.prepare?.();
    const from = performance.now();
    loop.run();
    plant(set, loop, extra);
    return ((performance.now() - from) * 1e6) / loop.operations;
  };
  const timed = (loop: Loop, budget: number): number => {
    const samples: number[] = [];
    const end = performance.now() + budget;
    do samples.push(one(loop));
    while (performance.now() < end || samples.length < 5);
    return median(samples);
  };
  for (let round = 0; round < 3; round++) for (const loop of set.loops()) timed(loop, ms / 4);
  return Object.fromEntries(set.loops().map((loop) => [loop.op, timed(loop, ms)]));
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
const answer =
  task.what === 'times'
    ? times(set, task.ms ?? 40, extra)
    : { accesses: instructions(set, task.op ?? 'rom-write', task.batches ?? 10, extra) };
process.stdout.write(`${JSON.stringify(answer)}\n`);
