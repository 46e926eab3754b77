/** `compare bench`: every hot loop of every strategy with tinybench, in batches, beside a reference loop. */
import { Bench, hrtimeNow } from 'tinybench';
import { type Loop, LoopSet, type Op, referenceLoop, workDigests } from '../../engine/core/batch/loops.ts';
import { median } from '../../reports/gate/stats.ts';
import type { Strategy } from '../../strategies/index.ts';

/** One loop of one strategy. */
export interface LoopTime {
  readonly op: Op;
  readonly strategy: string;
  /** Nanoseconds an access: median and median absolute deviation over the samples. */
  readonly ns: number;
  readonly mad: number;
  readonly opsPerSecond: number;
  readonly samples: number;
  /** ns over that of the reference loop in this process: comparable between machines. */
  readonly relative: number;
  /** Heap held an access. */
  readonly bytesPerOp: number;
  /** What the loop does to a fresh machine. */
  readonly digest: string;
}

/** All of one invocation. */
export interface BenchReport {
  readonly node: string;
  readonly arch: string;
  /** Nanoseconds of one round of the reference loop. */
  readonly referenceNs: number;
  readonly loops: readonly LoopTime[];
}

/** Milliseconds of samples for one loop, and how many samples at least. */
export interface Effort {
  readonly ms: number;
  readonly samples: number;
}

const REFERENCE_ROUNDS = 100_000;

interface Sampled {
  readonly ns: number;
  readonly mad: number;
  readonly samples: number;
}

/** Times one loop; every sample is one batch, far longer than reading the clock takes. */
async function sample(loop: Pick<Loop, 'operations' | 'run' | 'prepare'>, effort: Effort): Promise<Sampled> {
  const bench = new Bench({
    time: effort.ms,
    iterations: effort.samples,
    warmupTime: effort.ms / 4,
    warmupIterations: effort.samples,
    throws: true,
    timestampProvider: 'hrtimeNow',
  });
  bench.add('batch', () => {
    // What prepares a batch counts against the budget, so that it ends in time, and not as the batch's time.
    const start = hrtimeNow();
    loop.prepare?.();
    const from = hrtimeNow();
    loop.run();
    const end = hrtimeNow();
    return { overriddenDuration: (end - from) / loop.operations, overriddenIterationCost: end - start };
  });
  await bench.run();
  const result = bench.tasks[0]?.result;
  if (result?.state !== 'completed')
    throw new Error(`a loop could not be timed: ${result?.state ?? 'no result'}`);
  const { p50, mad, samplesCount } = result.latency;
  return { ns: digits(p50 * 1e6), mad: digits(mad * 1e6), samples: samplesCount };
}

const digits = (x: number): number => Number(x.toPrecision(5));

/** Heap that one batch holds, an access: the median, for a collection hides what was held. */
function heldBytes(loop: Loop): number {
  const rounds = Array.from({ length: 5 }, () => {
    loop.prepare?.();
    const before = process.memoryUsage().heapUsed;
    loop.run();
    return Math.max(0, process.memoryUsage().heapUsed - before) / loop.operations;
  });
  return digits(median(rounds));
}

/** Times all loops of the strategies, all of them alive; stops early, between loops, when the signal says so. */
export async function timeLoops(
  strategies: readonly Strategy[],
  effort: Effort,
  signal: AbortSignal,
  onLoop: (done: number, total: number, name: string) => void,
): Promise<BenchReport> {
  const reference = await sample(
    { operations: REFERENCE_ROUNDS, run: () => referenceLoop(REFERENCE_ROUNDS) },
    effort,
  );
  const all = strategies.flatMap((s) => {
    const digests = workDigests(s);
    return new LoopSet(s)
      .loops()
      .map((loop) => ({ loop, strategy: s.name, digest: digests.get(loop.op) ?? '' }));
  });
  const loops: LoopTime[] = [];
  for (const { loop, strategy, digest } of all) {
    if (signal.aborted) break;
    onLoop(loops.length, all.length, `${loop.op} under ${strategy}`);
    const { ns, mad, samples } = await sample(loop, effort);
    loops.push({
      op: loop.op,
      strategy,
      ns,
      mad,
      opsPerSecond: Math.round(1e9 / ns),
      samples,
      relative: digits(ns / reference.ns),
      bytesPerOp: heldBytes(loop),
      digest,
    });
  }
  return { node: process.version, arch: process.arch, referenceNs: reference.ns, loops };
}
