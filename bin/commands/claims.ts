/** `compare claims`: what the people of the thread said, tried. */
import { defineCommand } from '../command.ts';
import { RUN_OPTIONS } from '../run/plan.ts';
import { tryThread } from '../run/try-thread.ts';

/** The `claims` command. */
export const claims = defineCommand({
  usage: 'claims',
  says: 'Try every claim of the thread: it holds, fails, or holds only under a condition',
  options: {
    seed: RUN_OPTIONS.seed,
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
  },
  async run(args, io) {
    const { results, broken } = await tryThread(args.seed, io);
    const { claimsJson, claimsText } = await import('../../reports/index.ts');
    io.out(
      args.format === 'json' ? claimsJson(results) : `${claimsText(results, { width: io.columns ?? 80 })}\n`,
    );
    if (io.signal.aborted) {
      io.err(`${io.name}: interrupted: ${results.length} claims were tried\n`);
      return 130;
    }
    return broken > 0 ? 1 : 0;
  },
});
