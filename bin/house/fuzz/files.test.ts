/** Damaged files: every command that reads one says in one line what is wrong with it, or reads it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LINUX_61_NPT } from '../../../engine/profiles/linux-6.1-npt.ts';
import { loadText } from '../../../scenarios/data/recordings.ts';
import { FORMATS } from '../../output/render.ts';
import { runCli } from '../../testing.ts';
import { extent, MINUTES, patience, Tally } from './extent.ts';

const SHARE = 0.3;

let folder: string;
/** Sound files by kind, as text. */
const sound: Record<string, string> = {};
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
  const one = ['--scenario', 'rom-write', '--strategy', 'coexist', 'private-cow', '--no-timing'];
  sound.comparison = (await runCli([...one, '--format', 'json'])).out;
  sound.cases = loadText('kvm-6.1-cases.jsonl.gz').split('\n').slice(0, 2).join('\n');
  sound.costs = loadText('kvm-6.1-costs.json.gz');
  sound.profile = JSON.stringify(LINUX_61_NPT);
  sound.trace = (await runCli(['export', ...one.slice(0, 4), '--format', 'ftrace'])).out.slice(0, 20_000);
  await writeFile(join(folder, 'sound.json'), sound.comparison);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Command lines that read `damaged` as a file of this kind. */
const COMMANDS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  comparison: [
    ...FORMATS.map((f) => ['report', 'damaged', '--format', f]),
    ['diff', 'sound.json', 'damaged'],
  ],
  cases: [['conform', 'damaged', '--kernel', 'stock', 'shadow']],
  costs: [
    ['costs', 'damaged', '--kernel', 'stock'],
    ['calibrate', 'damaged', '--kernel', 'stock'],
  ],
  profile: [['explain', '--scenario', 'rom-write', '--strategy', 'coexist', '--profile', 'damaged']],
  trace: [['export', 'damaged', '--format', 'perf-kvm']],
};

const odd = fc.constantFrom<unknown>(
  ...[null, true, -1, 0, 0.5, 1e308, 2 ** 31, 2 ** 32, 2 ** 40, 99_999_999_999, 2 ** 53],
  ...['', 'x', '__proto__', '\u001b[31m', '::error::x', 'f'.repeat(1000), [], {}, [[]], { __proto__: null }],
);

/** A change to a text: somewhere in its JSON, line by line where it has lines, or to its bytes. */
const damage = fc.oneof(
  { weight: 4, arbitrary: fc.record({ how: fc.constant('set' as const), at: fc.nat(), to: odd }) },
  {
    weight: 1,
    arbitrary: fc.record({ how: fc.constantFrom('drop' as const, 'add' as const), at: fc.nat(), to: odd }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      how: fc.constantFrom('cut' as const, 'byte' as const),
      at: fc.nat(),
      to: fc.nat(),
    }),
  },
);
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

interface Spot {
  readonly of: Record<string, unknown>;
  readonly key: string;
}

/** Every place in a value that can be changed. */
function spots(value: unknown): Spot[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [{ of: value as Spot['of'], key }, ...spots(inner)]);
}

function apply(text: string, { how, at, to }: Damage): string {
  if (how === 'cut') return text.slice(0, at % (text.length + 1));
  if (how === 'byte') {
    const i = at % (text.length + 1);
    return text.slice(0, i) + String.fromCharCode(to as number & 255) + text.slice(i + 1);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return apply(text, { how: 'byte', at, to: at >> 3 });
  }
  const all = spots(value);
  const spot = all[at % Math.max(1, all.length)];
  if (spot === undefined) return text;
  if (how === 'set') spot.of[spot.key] = to;
  else if (how === 'add') spot.of[`${spot.key}x`] = to;
  else delete spot.of[spot.key];
  return JSON.stringify(value);
}

const file = fc.record({
  kind: fc.constantFrom(...Object.keys(COMMANDS)),
  pick: fc.nat(),
  damages: fc.array(damage, { minLength: 1, maxLength: 3 }),
  packed: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

const tally = new Tally('files');
afterAll(() => tally.tell());

test(
  'damaged files',
  async () => {
    await fc.assert(
      fc.asyncProperty(file, async ({ kind, pick, damages, packed }) => {
        // Where a file is one value a line, one line is damaged.
        const [first = '', ...rest] = kind === 'cases' ? (sound[kind] ?? '').split('\n') : [sound[kind]];
        const text = [damages.reduce(apply, first), ...rest].join('\n');
        await writeFile(join(folder, 'damaged'), packed ? gzipSync(text) : Buffer.from(text, 'latin1'));
        const commands = COMMANDS[kind] ?? [];
        const argv = commands[pick % commands.length] ?? [];
        const { code, out, err } = await runCli(argv, { cwd: folder });
        expect(err, argv.join(' ')).not.toContain('internal error');
        expect([0, 1, 2]).toContain(code);
        if (code === 2 && out === '') expect(err).toMatch(/^compare: [^\n]+\n$/);
        tally.add(`${kind} ${code}`);
      }),
      extent(150, SHARE),
    );
    if (MINUTES > 0) expect(tally.grownMiB()).toBeLessThan(300);
  },
  patience(SHARE),
);
