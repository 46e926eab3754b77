/** `compare costs`: what probes took on real kernels against what the cost model says. */
import { defineCommand } from '../../command.ts';

/** The `costs` command. */
export const costs = defineCommand({
  usage: 'costs [file]',
  says: 'Hold the cost model against measured probes, worst first',
  positionals: {
    file: { type: 'string', describe: 'Measured costs (.json, .json.gz); those that come along when absent' },
  },
  options: {
    profile: { type: 'string', requiresArg: true, describe: 'A cost profile; that of Linux 6.1 when absent' },
    kernel: { type: 'string', array: true, requiresArg: true, describe: 'Only these kernels of the file' },
    format: { choices: ['text', 'json'], default: 'text', requiresArg: true, describe: 'How to print it' },
  },
  examples: [
    ['$0 costs --kernel stock', 'one kernel'],
    ['$0 costs --profile mine.json', 'by other prices'],
  ],
  async run(args, io) {
    const { probeFile, readProfile } = await import('../../input/costs-input.ts');
    const profile = await readProfile(args.profile, io.cwd);
    const probed = await probeFile(args.file, args.kernel, io.cwd);
    const [{ errorsOf, residualsOf }, { predictUnmeasured }, { costsJson, costsText }] = await Promise.all([
      import('../../../scenarios/costs/calibrate.ts'),
      import('../../../scenarios/costs/costs-file.ts'),
      import('../../../reports/findings/costs-text.ts'),
    ]);
    const residuals = residualsOf(profile, probed.measurements);
    const unmeasured = predictUnmeasured(profile, probed);
    const report = { profile, residuals, unmeasured, failed: probed.failed, ...errorsOf(residuals) };
    io.out(args.format === 'json' ? costsJson(report) : costsText(report, io.columns ?? 100));
    return 0;
  },
});
