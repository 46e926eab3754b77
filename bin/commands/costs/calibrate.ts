/** `compare calibrate`: a cost profile fitted to what probes measured on real kernels. */
import { defineCommand } from '../../command.ts';
import { openOutput } from '../../output/output.ts';

/** The profile that comes with the program, which is the fit of the measurements that come along. */
const SHIPPED = 'linux-6.1-npt';

/** The `calibrate` command. */
export const calibrate = defineCommand({
  usage: 'calibrate [file]',
  says: 'Fit a cost profile to measured probes: prices of steps, residuals, leave-one-out errors',
  positionals: {
    file: { type: 'string', describe: 'Measured costs (.json, .json.gz); those that come along when absent' },
  },
  options: {
    kernel: {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Fit to these kernels of the file only',
    },
    name: { type: 'string', default: SHIPPED, requiresArg: true, describe: 'What to call the profile' },
    out: { type: 'string', requiresArg: true, describe: 'Write the profile to this file' },
  },
  examples: [
    ['$0 calibrate costs.json --out profile.json', 'a profile of your own'],
    [
      '$0 calibrate --kernel stock --kernel prepatch --out two.json',
      'a fit that has not seen the third kernel',
    ],
  ],
  async run(args, io) {
    const { fitProfile, probeFile } = await import('../../input/costs-input.ts');
    const out = args.out === undefined ? undefined : await openOutput('--out', args.out, io.cwd);
    const found = await fitProfile(await probeFile(args.file, args.kernel, io.cwd), args.name);
    if (out) await out.write(`${JSON.stringify(found.profile, null, 2)}\n`);
    const { calibrationText } = await import('../../../reports/findings/costs-text.ts');
    const { errorsOf } = await import('../../../scenarios/costs/calibrate.ts');
    const errors = { fit: errorsOf(found.residuals), leaveOneOut: errorsOf(found.leaveOneOut) };
    io.out(calibrationText(found, errors, io.columns ?? 100));
    return 0;
  },
});
