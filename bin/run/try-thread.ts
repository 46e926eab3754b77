/** Runs what the claims of the thread need, each trial once, and judges them. */
import type { ThreadClaimResult } from '../../reports/index.ts';
import type { Trial } from '../../scenarios/readonly-memory/thread.ts';
import { brokenClaims, type Comparison } from '../../scenarios/run/comparison.ts';
import type { Io } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import { planOf, RUN_OPTIONS } from './plan.ts';
import { runComparison } from './run-comparison.ts';

/** What came of it. */
export interface ThreadTried {
  /** The claims whose trials were all run. */
  readonly results: readonly ThreadClaimResult[];
  /** Claims of the scenarios themselves that the trials broke. */
  readonly broken: number;
}

/** Tries every claim; after Ctrl-C, those that could still be tried. */
export async function tryThread(seed: number, io: Io): Promise<ThreadTried> {
  const [{ judgeClaims, trialName, trialsOf }, { THREAD }] = await Promise.all([
    import('../../reports/index.ts'),
    import('../../scenarios/readonly-memory/thread.ts'),
  ]);
  const keyOf = (t: Trial): string => `${t.scenario} ${trialName(t)} ${JSON.stringify(t.params ?? {})}`;
  const trials = trialsOf(THREAD);
  const done = new Map<string, Comparison>();
  const line = createProgress(io);
  for (const trial of trials) {
    line.show(`${done.size}/${trials.length} trials of the thread's claims`);
    const comparison = await runTrial(trial, seed, { ...io, progress: false });
    if (comparison.interrupted) break;
    done.set(keyOf(trial), comparison);
  }
  line.clear();
  const tried = THREAD.filter((c) => c.trials.every((t) => done.has(keyOf(t))));
  const results = judgeClaims(tried, (t) => done.get(keyOf(t))?.runs[0]);
  return { results, broken: [...done.values()].flatMap(brokenClaims).length };
}

async function runTrial(trial: Trial, seed: number, io: Io): Promise<Comparison> {
  const args = {
    scenario: [trial.scenario],
    strategy: [trial.strategy],
    with: trial.with,
    without: trial.without,
    paging: trial.paging ?? RUN_OPTIONS.paging.default,
    param: Object.entries(trial.params ?? {}).map(([k, v]) => `${k}=${v}`),
    seed,
  };
  return runComparison(await planOf(args, false, io), io, 'here');
}
