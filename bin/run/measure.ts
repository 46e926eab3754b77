/** This core's own nanoseconds per operation: tinybench over batches, a small time budget, and no clock in the engine. */
import { Bench, hrtimeNow } from 'tinybench';
import type { Measure } from '../../scenarios/run/runner.ts';

/** Milliseconds that all measurements of an invocation may take together, and the bounds for one of them. */
const ALL_MS = 2000;
const ONE_MS_MIN = 8;
const ONE_MS_MAX = 80;
/** Samples to aim at: enough for a median and its deviation, few enough to be kept in the JSON. */
const SAMPLES = 30;
const SAMPLES_MIN = 3;
/** Runs of more operations are not timed: nothing can be heard, Ctrl-C included, while one of them runs. */
const OPERATIONS_MAX = 1_000_000;
/** Share of the budget that goes into getting the code compiled; the first measurement finds nothing compiled yet. */
const WARM_UP = 0.4;
const FIRST_WARM_UP_MS = 300;

/** A `Measure` for an invocation of so many runs: the more there are, the shorter each is measured. */
export function createMeasure(runs: number): Measure {
  const budget = Math.min(ONE_MS_MAX, Math.max(ONE_MS_MIN, ALL_MS / runs));
  let warmUp = FIRST_WARM_UP_MS;
  return async (run, operations, prepare) => {
    if (operations > OPERATIONS_MAX) return undefined;
    const sample = (): Sample => batch(run, operations, prepare, budget / SAMPLES);
    const slowest = warm(sample, warmUp);
    warmUp = budget * WARM_UP;
    const bench = new Bench({
      time: budget,
      // A run that is longer than the whole budget is measured once: it is long enough.
      iterations: slowest > budget ? 1 : SAMPLES_MIN,
      warmup: false,
      retainSamples: true,
      throws: true,
      timestampProvider: 'hrtimeNow',
    });
    bench.add('batch', sample);
    await bench.run();
    const result = bench.tasks[0]?.result;
    if (result?.state !== 'completed') return undefined;
    const ns = (ms: number): number => Number((ms * 1e6).toPrecision(6));
    const { p50, mad, samplesCount, samples } = result.latency;
    return { nsPerOp: ns(p50), mad: ns(mad), samples: samplesCount, raw: (samples ?? []).map(ns) };
  };
}

/** What tinybench is told of a batch, in milliseconds: the mean of an operation, and how long it all took. */
interface Sample {
  readonly overriddenDuration: number;
  readonly overriddenIterationCost: number;
}

/**
 * One sample: run after run on fresh machines until `ms` are over, only the runs themselves timed. A single
 * operation is shorter than what reading the clock costs, so a sample is a mean over many.
 */
function batch(run: () => void, operations: number, prepare: () => void, ms: number): Sample {
  const start = hrtimeNow();
  let timed = 0;
  let runs = 0;
  do {
    prepare();
    const from = hrtimeNow();
    run();
    timed += hrtimeNow() - from;
    runs++;
  } while (hrtimeNow() - start < ms);
  return {
    overriddenDuration: timed / (runs * operations),
    overriddenIterationCost: hrtimeNow() - start,
  };
}

/** Takes samples for `ms`, at least one, and returns what the longest cost. */
function warm(sample: () => Sample, ms: number): number {
  let spent = 0;
  let slowest = 0;
  do {
    const cost = sample().overriddenIterationCost;
    spent += cost;
    slowest = Math.max(slowest, cost);
  } while (spent < ms);
  return slowest;
}
