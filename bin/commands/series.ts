/** `compare series`: what each version of the read-only memslot series changes, and each patch left out of it. */
import { defineCommand } from '../command.ts';
import { runComparison } from '../run-comparison.ts';
import { commandLine, RUN_OPTIONS, select } from '../selection.ts';
import { verdictCode } from './compare.ts';

const MERGED = 'readonly-memslot';
const VERSIONS = [`${MERGED}-v3`, `${MERGED}-v4`, `${MERGED}-v5`];

/** The `series` command. */
export const series = defineCommand({
  usage: 'series',
  says: 'Set the versions of the read-only memslot series side by side, and each patch left out of the last',
  options: {
    scenario: RUN_OPTIONS.scenario,
    paging: RUN_OPTIONS.paging,
    param: RUN_OPTIONS.param,
    seed: RUN_OPTIONS.seed,
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
  },
  async run(args, io) {
    const { withPatches } = await import('../../strategies/index.ts');
    const chosen = await select({ ...args, strategy: [...VERSIONS, MERGED] }, io);
    const merged = chosen.strategies.filter((s) => s.name === MERGED);
    const ablations = merged.flatMap((s) =>
      s.series
        .map((patch) => withPatches(s, [], [patch.name]))
        .flatMap((r) => ('error' in r ? [] : [r.strategy])),
    );
    const command = commandLine(args).replace('compare', 'compare series');
    const strategies = [...chosen.strategies, ...ablations];
    const comparison = await runComparison({ ...chosen, strategies, command, timing: false }, io);
    const { renderSeries, seriesGrid } = await import('../../reports/index.ts');
    const grid = seriesGrid(comparison, MERGED);
    if (args.format === 'json') io.out(`${JSON.stringify(grid, null, 2)}\n`);
    else io.out(renderSeries(grid, { width: io.columns ?? 80, color: io.colour }));
    return verdictCode(comparison, io);
  },
});
