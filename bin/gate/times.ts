/** Tier 3: two builds' hot loops in fresh processes that alternate, round by round. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { judgeTimes, type PairedTimes } from '../../reports/gate/judge.ts';
import type { GateRow } from '../../reports/gate/model.ts';
import type { Thresholds } from '../../reports/gate/thresholds.ts';
import type { EntryTask } from './entry.ts';

const run = promisify(execFile);

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

async function once(build: Build, o: RoundOptions): Promise<Readonly<Record<string, number>>> {
  const task: EntryTask = { what: 'times', strategy: o.strategy, ms: o.ms, extra: build.extra ?? 0 };
  const { stdout } = await run(process.execPath, [build.entry, JSON.stringify(task)], { signal: o.signal });
  return JSON.parse(stdout) as Readonly<Record<string, number>>;
}

/** Runs the rounds; the first build goes first in every other round, `reversed` says in which. */
export async function pairedRounds(
  before: Build,
  after: Build,
  o: RoundOptions,
  reversed: boolean,
): Promise<readonly PairedTimes[]> {
  const rounds: (readonly [Readonly<Record<string, number>>, Readonly<Record<string, number>>])[] = [];
  for (let i = 0; i < o.limits.rounds; i++) {
    o.onRound?.(i, o.limits.rounds);
    const beforeFirst = (i % 2 === 0) !== reversed;
    const first = await once(beforeFirst ? before : after, o);
    const second = await once(beforeFirst ? after : before, o);
    rounds.push(beforeFirst ? [first, second] : [second, first]);
  }
  const loops = new Set(rounds.flatMap(([a, b]) => [...Object.keys(a), ...Object.keys(b)]));
  return [...loops].map((loop) => ({
    loop,
    before: rounds.map(([a]) => a[loop] ?? Number.NaN),
    after: rounds.map(([, b]) => b[loop] ?? Number.NaN),
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
  const differs = (rows: readonly GateRow[]): boolean =>
    rows.some((r) => r.verdict === 'regression' || r.verdict === 'improvement');
  if (!differs(seen.rows)) return { ...seen, raw };
  const again = judgeTimes(await pairedRounds(before, after, o, true), o.limits, o.seed + 1);
  const confirmed = (loop: string, direction: GateRow['verdict']): boolean =>
    again.rows.some((r) => r.cell === loop && r.verdict === direction);
  return { ...judgeTimes(raw, o.limits, o.seed, confirmed), raw };
}
