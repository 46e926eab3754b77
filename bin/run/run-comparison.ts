/**
 * Runs a plan: here when it is small and all our own, and else in worker processes, where a run that does not end, or
 * takes all memory, is ended, and the others are kept.
 */
import { AGREEMENT } from '../../scenarios/conform/agreement.ts';
import type { Comparison } from '../../scenarios/run/comparison.ts';
import type { Prepared } from '../../scenarios/run/runner.ts';
import type { Io } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import { hasWorkers } from '../pool/pool.ts';
import { modulesOf, type Plan, type Ready } from './plan.ts';

/** Runs that this process does itself: all our own, short, and over before a second process would have started. */
const SMALL = 24;

function isSmall({ scenarios, strategies, params, ...plan }: Plan): boolean {
  const runs = (scenarios?.length ?? SMALL) * (strategies?.length ?? SMALL / 2);
  return (
    runs <= SMALL && modulesOf({ ...plan, params, scenarios, strategies }).length === 0 && noneOf(params)
  );
}

const noneOf = (params: object): boolean => Object.keys(params).length === 0;

/** Looks everything up and loads every module; whatever is wrong with the input is found here. */
export async function makeReady(plan: Plan, io: Io, where?: 'here'): Promise<Ready> {
  if (hasWorkers() && where !== 'here' && !isSmall(plan)) {
    return (await import('./run-in-workers.ts')).readyWorkers(plan, io);
  }
  const { prepare } = await import('./prepare.ts');
  const prepared = await prepare(plan);
  return { run: () => runHere(prepared, io), close: () => {} };
}

/** Makes ready and runs. */
export async function runComparison(plan: Plan, io: Io, where?: 'here'): Promise<Comparison> {
  return (await makeReady(plan, io, where)).run();
}

/** Runs everything in this process; what Ctrl-C leaves is a Comparison too. */
async function runHere(prepared: Prepared, io: Io): Promise<Comparison> {
  const { runPrepared } = await import('../../scenarios/run/runner.ts');
  const line = createProgress(io);
  try {
    const comparison = await runPrepared(prepared, io.signal, ({ done, total, scenario, strategy }) =>
      line.show(`${done}/${total} ${scenario} under ${strategy}`),
    );
    return { ...comparison, conformance: AGREEMENT };
  } finally {
    line.clear();
  }
}
