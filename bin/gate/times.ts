/** Tier 3: two builds' hot loops, round by round in two fresh processes whose slices alternate. */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { judgeTimes, type PairedTimes } from '../../reports/gate/judge.ts';
import type { GateRow } from '../../reports/gate/model.ts';
import { median } from '../../reports/gate/stats.ts';
import type { Thresholds } from '../../reports/gate/thresholds.ts';
import type { EntryTask } from './entry.ts';

/** What a pair of slices takes about, and slices before the first that counts. */
const SLICES_MS = 3;
const WARM_UP = 4;

/** One build: the program that is measured, and what is planted in it. */
export interface Build {
  readonly entry: string;
  readonly extra?: number;
}

/** How the rounds are run. */
export interface RoundOptions {
  readonly strategy: string;
  readonly limits: Thresholds;
  /** Milliseconds of samples a loop in each process. */
  readonly ms: number;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onRound?: (round: number, rounds: number) => void;
}

/** Why a build cannot be timed, if it cannot. */
export const whyNoTimes = (build: Build): string | undefined =>
  existsSync(build.entry) ? undefined : `${build.entry} is not there: build it first`;

/** A fresh process of a build that runs slices when asked. */
class Slicer {
  readonly #child: ChildProcess;
  #resolve: (answer: unknown) => void = () => {};
  #reject: (error: Error) => void = () => {};
  readonly #up: Promise<unknown>;

  constructor(build: Build, o: RoundOptions) {
    const task: EntryTask = { what: 'times', strategy: o.strategy, extra: build.extra ?? 0 };
    this.#up = this.#next();
    this.#child = fork(build.entry, [JSON.stringify(task)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      signal: o.signal,
    });
    this.#child.on('message', (answer) => this.#resolve(answer));
    this.#child.on('error', (error) => this.#reject(error));
    this.#child.on('exit', () => this.#reject(new Error('a process that was to be timed ended early')));
  }

  #next(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** The names of the loops, when it is up. */
  async loops(): Promise<readonly string[]> {
    return (await this.#up) as readonly string[];
  }

  /** Nanoseconds an access of one slice. */
  async slice(op: string): Promise<number> {
    const answer = this.#next();
    this.#child.send(op);
    return Number(await answer);
  }

  end(): void {
    this.#reject = () => {};
    this.#child.kill();
  }
}

/** One round: both builds in fresh processes, slices of 1 to 2 ms alternating, the median of neighbours' ratios. */
async function oneRound(
  before: Build,
  after: Build,
  o: RoundOptions,
  beforeFirst: boolean,
): Promise<Readonly<Record<string, readonly [number, number]>>> {
  const slicers = [
    new Slicer(beforeFirst ? before : after, o),
    new Slicer(beforeFirst ? after : before, o),
  ] as const;
  try {
    const [loops, others] = [await slicers[0].loops(), await slicers[1].loops()];
    const pairs = Math.max(5, Math.round(o.ms / SLICES_MS));
    const found: Record<string, readonly [number, number]> = {};
    for (const op of loops) for (let i = 0; i < WARM_UP; i++) for (const s of slicers) await s.slice(op);
    for (const op of loops.filter((l) => others.includes(l))) {
      const [one, ratio] = await pairOf(slicers, op, pairs);
      found[op] = beforeFirst ? [one, one * ratio] : [one * ratio, one];
    }
    return found;
  } finally {
    for (const s of slicers) s.end();
  }
}

/** The first one's nanoseconds, and the second's as a multiple of them. */
async function pairOf(
  slicers: readonly [Slicer, Slicer],
  op: string,
  pairs: number,
): Promise<[number, number]> {
  for (let i = 0; i < WARM_UP; i++) for (const s of slicers) await s.slice(op);
  const ns: number[] = [];
  const ratios: number[] = [];
  let last = await slicers[0].slice(op);
  for (let i = 0; i < pairs; i++) {
    const other = await slicers[1].slice(op);
    const next = await slicers[0].slice(op);
    ns.push(next);
    ratios.push((2 * other) / (last + next));
    last = next;
  }
  return [median(ns), median(ratios)];
}

/** Runs the rounds; the first build goes first in every other round, `reversed` says in which. */
async function pairedRounds(
  before: Build,
  after: Build,
  o: RoundOptions,
  reversed: boolean,
): Promise<readonly PairedTimes[]> {
  const rounds: Readonly<Record<string, readonly [number, number]>>[] = [];
  for (let i = 0; i < o.limits.rounds; i++) {
    o.onRound?.(i, o.limits.rounds);
    rounds.push(await oneRound(before, after, o, (i % 2 === 0) !== reversed));
  }
  const loops = new Set(rounds.flatMap((r) => Object.keys(r)));
  return [...loops].map((loop) => ({
    loop,
    before: rounds.map((r) => r[loop]?.[0] ?? Number.NaN),
    after: rounds.map((r) => r[loop]?.[1] ?? Number.NaN),
  }));
}

/** Measures and judges; what looks like a difference is measured again in reversed order before it is one. */
export async function timeBuilds(
  before: Build,
  after: Build,
  o: RoundOptions,
): Promise<{
  readonly rows: readonly GateRow[];
  readonly power: string;
  readonly raw: readonly PairedTimes[];
}> {
  const raw = await pairedRounds(before, after, o, false);
  const seen = judgeTimes(raw, o.limits, o.seed);
  const differs = seen.rows.some((r) => r.verdict === 'regression' || r.verdict === 'improvement');
  if (!differs) return { ...seen, raw };
  const again = await pairedRounds(before, after, o, true);
  return { ...judgeTimes(raw, o.limits, o.seed, again), raw };
}
