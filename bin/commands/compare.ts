/** `compare`: run scenarios under strategies and print, write or draw the Comparison. */

import { visible } from '../../reports/print/escape.ts';
import { brokenClaims, type Comparison, type Fate } from '../../scenarios/run/comparison.ts';
import { defineCommand } from '../command.ts';
import type { ExitCode, Io } from '../io.ts';
import { openFolder, openOutput } from '../output/output.ts';
import { FORMATS, render, renderPieces } from '../output/render.ts';
import { KERNEL_OPTIONS, kernelWords } from '../run/kernel-words.ts';
import { planOf, RUN_OPTIONS } from '../run/plan.ts';
import { makeReady } from '../run/run-comparison.ts';
import { tryThread } from '../run/try-thread.ts';

const REPORT_FILES = ['report.html', 'comparison.json', 'comparison.csv'] as const;

/** The `compare` command, the default one. */
export const compare = defineCommand({
  usage: 'compare',
  says: 'Run scenarios under strategies and compare what became of the VM (the default)',
  options: {
    ...RUN_OPTIONS,
    ...KERNEL_OPTIONS,
    format: { choices: FORMATS, default: 'table', requiresArg: true, describe: 'How to print the result' },
    out: { type: 'string', requiresArg: true, describe: 'Write it to this file instead' },
    report: {
      type: 'string',
      requiresArg: true,
      describe: `Also write a folder with ${REPORT_FILES.join(', ')}`,
    },
    'no-timing': {
      type: 'boolean',
      default: false,
      describe: "Do not measure this machine's nanoseconds; the result is then the same every time",
    },
  },
  examples: [
    ['$0 --scenario rom-write', 'what a store to a ROM comes to, under every strategy'],
    ['$0 --scenario rom-read-cold --with judge-vma-by-access', 'with one patch more'],
    ['$0 --kernel a=bzImage-a --kernel b=bzImage-b --scenario rom-write', 'on kernels that you bring'],
    ['$0 --strategy ./mine.mjs', 'your own strategy in all scenarios'],
  ],
  async run(args, io) {
    // Everything that can be wrong is found before the first guest starts.
    const plan = await planOf(args, !args['no-timing'], io);
    const kernels = kernelWords(args.kernel, args.engine, io.cwd);
    const ready =
      kernels.length === 0
        ? await makeReady(plan, io)
        : await (await import('../run/run-on-kernels.ts')).readyKernels(plan, kernels, io);
    const file = args.out === undefined ? undefined : await openOutput('--out', args.out, io.cwd);
    const folder =
      args.report === undefined ? undefined : await openFolder('--report', args.report, io.cwd, REPORT_FILES);
    const comparison = await ready.run();
    // The claims of the thread belong to the whole picture, so a part of it does without them.
    const whole = !args.scenario && !args.strategy && kernels.length === 0 && !io.signal.aborted;
    const thread =
      whole && (folder || args.format === 'html') ? (await tryThread(args.seed, io)).results : undefined;
    const page = thread ? { thread } : {};
    // An empty comparison is worth less than what is there already.
    if (comparison.runs.length === 0 && (file || folder)) return verdictCode(comparison, io);
    if (folder) {
      const beside = { json: 'comparison.json', csv: 'comparison.csv' };
      await folder['report.html'].write(await render(comparison, 'html', { ...page, beside }));
      await folder['comparison.json'].write(await renderPieces(comparison, 'json'));
      await folder['comparison.csv'].write(await render(comparison, 'csv'));
    }
    if (file) await file.write(await renderPieces(comparison, args.format, page));
    else {
      const look = { ...page, width: io.columns ?? 80, color: io.colour };
      for (const piece of await renderPieces(comparison, args.format, look)) io.out(piece);
    }
    return verdictCode(comparison, io);
  },
});

/** Fates that are no verdict: what was asked could not be compared. */
const NO_VERDICT = ['unsupported', 'timed-out', 'out-of-memory'] as const satisfies readonly Fate[];

/** 130 when Ctrl-C cut it short, 2 when a run came to no verdict, 1 when a claim is broken, else 0. */
export function verdictCode(comparison: Comparison, io: Io): ExitCode {
  if (comparison.interrupted) {
    const all = comparison.scenarios.length * comparison.strategies.length;
    io.err(`${io.name}: interrupted: ${comparison.runs.length} of ${all} runs were finished\n`);
    return 130;
  }
  const open = NO_VERDICT.flatMap((fate) => {
    const [first, ...more] = comparison.runs.filter((r) => r.fate === fate);
    return first === undefined ? [] : [{ first, more }];
  });
  for (const { first, more } of open) {
    const where = `${first.scenario} under ${first.strategy}`;
    const others = more.length > 0 ? ` (and ${more.length} ${more.length === 1 ? 'run' : 'runs'} more)` : '';
    const word = first.fate === 'unsupported' ? 'not supported' : first.fate.replaceAll('-', ' ');
    io.err(`${io.name}: ${visible(where)}${others}: ${word}: ${visible(first.detail)}\n`);
  }
  if (open.length > 0) return 2;
  return brokenClaims(comparison).length > 0 ? 1 : 0;
}
