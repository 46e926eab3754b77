/** `compare series`: what each version of the read-only memslot series changes, and each patch left out of it. */
import type { Comparison } from '../../scenarios/run/comparison.ts';
import { defineCommand } from '../command.ts';
import { commandLine, type Plan, planOf, RUN_OPTIONS } from '../run/plan.ts';
import { runComparison } from '../run/run-comparison.ts';
import { verdictCode } from './compare.ts';

const MERGED = 'readonly-memslot';
const VERSIONS = [`${MERGED}-v3`, `${MERGED}-v4`, `${MERGED}-v5`];
/** The merged series over memory that the VMM itself mapped PROT_READ. */
const OVER_READONLY = 'coexist';
const SECOND =
  'The mapping above is writable, so that a patch about read-only mappings has nothing to do. ' +
  `The same series over a PROT_READ mapping (${OVER_READONLY}):`;

/** The `series` command. */
export const series = defineCommand({
  usage: 'series',
  says: 'Set the versions of the read-only memslot series side by side, and each patch left out of the last',
  options: {
    scenario: RUN_OPTIONS.scenario,
    paging: RUN_OPTIONS.paging,
    param: RUN_OPTIONS.param,
    seed: RUN_OPTIONS.seed,
    jobs: RUN_OPTIONS.jobs,
    timeout: RUN_OPTIONS.timeout,
    memory: RUN_OPTIONS.memory,
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
  },
  async run(args, io) {
    const { renderSeries, seriesGrid } = await import('../../reports/index.ts');
    const command = commandLine(args).replace('compare', 'compare series');
    const runs: Comparison[] = [];
    for (const names of [[...VERSIONS, MERGED], [OVER_READONLY]]) {
      const plan = await planOf({ ...args, strategy: names }, false, io);
      runs.push(await runComparison({ ...plan, strategies: await withAblations(names), command }, io));
    }
    const [versions, readonly] = runs.map((c, i) => seriesGrid(c, i === 0 ? MERGED : OVER_READONLY));
    if (versions === undefined || readonly === undefined) throw new Error('unreachable');
    if (args.format === 'json') {
      io.out(`${JSON.stringify({ ...versions, overReadonlyMapping: readonly }, null, 2)}\n`);
    } else {
      const { paragraph } = await import('../../reports/print/paragraph.ts');
      const width = io.columns ?? 80;
      const look = { width, color: io.colour };
      const heading = paragraph(SECOND, Math.max(40, width), 0, 0).join('\n');
      io.out(`${renderSeries(versions, look)}\n${heading}\n\n${renderSeries(readonly, look)}`);
    }
    const codes = runs.map((c) => verdictCode(c, io));
    return codes.find((code) => code !== 0) ?? 0;
  },
});

/** The strategies, and the last of them once more for each of its patches, without it. */
async function withAblations(names: readonly string[]): Promise<NonNullable<Plan['strategies']>> {
  const { findStrategy } = await import('../../strategies/index.ts');
  const last = names.at(-1) ?? '';
  const cut = (findStrategy(last)?.series ?? []).map((patch) => ({ word: last, without: patch.name }));
  return [...names.map((word) => ({ word })), ...cut];
}
