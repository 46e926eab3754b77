/** `compare diff A.json B.json`: what changed between two saved Comparisons. */

import { defineCommand } from '../command.ts';
import { readComparison } from '../input/comparison-file.ts';
import { UsageError } from '../io.ts';

/** The `diff` command. */
export const diff = defineCommand({
  usage: 'diff <files..>',
  says: 'Set two saved Comparisons side by side: flips of fate first, then counts, then costs',
  positionals: {
    files: { type: 'string', array: true, describe: 'Two files that compare --format json wrote' },
  },
  options: {
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
  },
  async run(args, io) {
    const [before, after, ...more] = args.files ?? [];
    if (before === undefined || after === undefined || more.length > 0) {
      throw new UsageError('diff needs two files: compare diff BEFORE.json AFTER.json');
    }
    const { diffComparisons, renderDiff } = await import('../../reports/index.ts');
    const result = diffComparisons(await readComparison(before, io.cwd), await readComparison(after, io.cwd));
    if (args.format === 'json') io.out(`${JSON.stringify(result, null, 2)}\n`);
    else io.out(renderDiff(result, { width: io.columns ?? 80, color: io.colour }));
    const broke =
      result.flips.length + result.counts.length + result.onlyBefore.length + result.onlyAfter.length;
    return broke > 0 ? 1 : 0;
  },
});
