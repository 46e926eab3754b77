/** One invocation of the runner, with what it may not have of its own: engine, clock, progress, version, Ctrl-C. */
import { AGREEMENT } from '../../scenarios/conform/agreement.ts';
import type { Comparison } from '../../scenarios/run/comparison.ts';
import type { Progress as Done } from '../../scenarios/run/runner.ts';
import { firstLine, type Io, UsageError } from '../io.ts';
import { createProgress } from '../output/progress.ts';
import { version } from '../version.ts';
import type { Selection } from './selection.ts';

/** What is to be run, and how. */
export interface Invocation extends Selection {
  /** Measure this machine's nanoseconds as well. */
  readonly timing: boolean;
}

/** Runs every scenario under every strategy; what Ctrl-C leaves is a Comparison too. */
export async function runComparison(what: Invocation, io: Io): Promise<Comparison> {
  const { modules, timing, ...selection } = what;
  const [{ createCoreMachine }, { compare }] = await Promise.all([
    import('../../engine/core/core-machine.ts'),
    import('../../scenarios/run/runner.ts'),
  ]);
  const cells = selection.scenarios.length * selection.strategies.length;
  const measure = timing ? (await import('./measure.ts')).createMeasure(cells) : undefined;
  const line = createProgress(io);
  let at: Done | undefined;
  try {
    const comparison = await compare({
      ...selection,
      version: version(),
      createMachine: createCoreMachine,
      signal: io.signal,
      onProgress: (done) => {
        at = done;
        line.show(`${done.done}/${done.total} ${done.scenario} under ${done.strategy}`);
      },
      ...(measure ? { measure } : {}),
    });
    return { ...comparison, conformance: AGREEMENT };
  } catch (error) {
    // Guest trouble is a fate. What is thrown is our mistake, unless a module of the user's took part.
    if (modules.length === 0) throw error;
    const kind = error instanceof Error ? `${error.name}: ` : '';
    const where = at === undefined ? '' : `, at ${at.scenario} under ${at.strategy}`;
    throw new UsageError(`${modules.join(', ')}: failed when it was run${where}: ${kind}${firstLine(error)}`);
  } finally {
    line.clear();
  }
}
