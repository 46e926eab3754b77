/** `compare explain`: the life of the first faults of one run, step by step. */
import { findRun } from '../../scenarios/run/comparison.ts';
import { defineCommand } from '../command.ts';
import { UsageError } from '../io.ts';
import { planOf, RUN_OPTIONS } from '../run/plan.ts';
import { runComparison } from '../run/run-comparison.ts';
import { verdictCode } from './compare.ts';

const one = { type: 'string', requiresArg: true, demandOption: true } as const;

/** The `explain` command. */
export const explain = defineCommand({
  usage: 'explain',
  says: 'Tell the life of the first faults of one run: which kernel function, which decision, which patch',
  options: {
    ...RUN_OPTIONS,
    scenario: { ...one, describe: 'A scenario by name or path' },
    strategy: { ...one, describe: 'A strategy by name or path' },
  },
  examples: [
    ['$0 explain --scenario rom-write --strategy readonly-memslot', 'where the store goes, step by step'],
  ],
  async run(args, io) {
    const chosen = { ...args, scenario: [args.scenario], strategy: [args.strategy] };
    const comparison = await runComparison(await planOf(chosen, false, io), io);
    const [scenario, strategy] = [comparison.scenarios[0], comparison.strategies[0]];
    const run = findRun(comparison, scenario?.name ?? '', strategy?.name ?? '');
    if (!run || !scenario || !strategy) {
      if (io.signal.aborted) return verdictCode(comparison, io);
      throw new UsageError(`${args.scenario} cannot be run under ${args.strategy}`);
    }
    const { explainText } = await import('../../reports/findings/explain-text.ts');
    io.out(explainText(run, scenario, strategy, { width: io.columns ?? 80, bold: io.colour }));
    return verdictCode(comparison, io);
  },
});
