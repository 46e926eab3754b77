/** Command lines of any words: an exit code, and one line where it is 2. */
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { commands } from '../../commands/index.ts';
import { runCli } from '../../testing.ts';
import { extent, patience, Tally } from './extent.ts';

const SHARE = 0.1;
const options = [...new Set(commands.flatMap((c) => Object.keys(c.options)))].map((o) => `--${o}`);
const word = fc.oneof(
  fc.constantFrom(
    ...commands.map((c) => c.name),
    ...options,
    '--help',
    '--version',
    '--',
    '-h',
    '--complete',
  ),
  fc.constantFrom(
    'rom-write',
    'coexist',
    'gup-reasons',
    'npt',
    'json',
    'stock',
    'writes=3',
    '.',
    '/dev/null',
  ),
  fc.constantFrom(
    '',
    '=',
    '-',
    '-1',
    '0',
    '0.5',
    '1e99',
    'NaN',
    '__proto__',
    'constructor',
    '\u001b[2J',
    '::error::',
  ),
  fc
    .tuple(fc.constantFrom(...options), fc.constantFrom('', '1', 'x', '-1', '\u0000'))
    .map(([o, v]) => `${o}=${v}`),
  fc.string({ maxLength: 12 }),
);

const tally = new Tally('command lines');
afterAll(() => tally.tell());

test(
  'random command lines',
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (argv) => {
        // Measuring takes its time, and files would be written; everything else is interrupted before it begins.
        fc.pre(!['bench', 'gate'].includes(argv[0] ?? '') && !argv.some((w) => /^--(out|report)/.test(w)));
        const { code, err } = await runCli(argv, { signal: AbortSignal.abort() });
        expect(err, JSON.stringify(argv)).not.toContain('internal error');
        expect([0, 1, 2, 130]).toContain(code);
        if (code === 2) expect(err, JSON.stringify(argv)).toMatch(/^compare: [^\n\p{Cc}]+\n$/u);
        tally.add(`exit ${code}`);
      }),
      extent(300, SHARE),
    );
  },
  patience(SHARE),
);
