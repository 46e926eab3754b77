/** `compare report FILE.json`: print a saved Comparison in another format, without running anything. */
import { brokenClaims } from '../../scenarios/run/comparison.ts';
import { defineCommand } from '../command.ts';
import { readComparison } from '../input/comparison-file.ts';
import { openOutput } from '../output/output.ts';
import { FORMATS, render } from '../output/render.ts';

/** The `report` command. */
export const report = defineCommand({
  usage: 'report <file>',
  says: 'Print a Comparison that was saved as JSON in another format',
  positionals: { file: { type: 'string', describe: 'What compare --format json wrote' } },
  options: {
    format: { choices: FORMATS, default: 'table', requiresArg: true, describe: 'How to print it' },
    out: { type: 'string', requiresArg: true, describe: 'Write it to this file instead' },
  },
  async run(args, io) {
    const comparison = await readComparison(args.file ?? '', io.cwd);
    if (args.out === undefined) {
      io.out(await render(comparison, args.format, { width: io.columns ?? 80, color: io.colour }));
    } else {
      const file = await openOutput('--out', args.out, io.cwd);
      await file.write(await render(comparison, args.format));
    }
    return brokenClaims(comparison).length > 0 ? 1 : 0;
  },
});
