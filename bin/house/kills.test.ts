/**
 * Every command that writes, ended at any moment by any signal: a file is the old one or the whole new one, and nothing is
 * left beside it. A few kills in the tests; KILLS=300 for as many as one likes.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { randomBytes } from '../../scenarios/language/random.ts';
import { builtProgram, execute } from './built.ts';

const KILLS = Number(process.env.KILLS ?? 6);
const OLD = 'old\n';

let program: string;
let folder: string;
beforeAll(async () => {
  program = await builtProgram();
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const few = ['--scenario', 'rom-write', 'rom-read', 'migrate', '--no-timing'];
/** Command lines, and the files that each writes. */
const COMMANDS: readonly (readonly [argv: readonly string[], files: readonly string[]])[] = [
  [[...few, '--format', 'json', '--out', 'out.json'], ['out.json']],
  [
    [...few, '--report', '.'],
    ['report.html', 'comparison.json', 'comparison.csv'],
  ],
  [['report', 'sound.json', '--format', 'html', '--out', 'page.html'], ['page.html']],
  [['calibrate', '--kernel', 'stock', '--out', 'profile.json'], ['profile.json']],
  [['gate', '--scenario', 'rom-write', '--baseline', 'gate.json', '--update'], ['gate.json']],
  [
    [
      'export',
      '--scenario',
      'rom-write',
      '--strategy',
      'coexist',
      '--format',
      'perfetto',
      '--out',
      'run.json',
    ],
    ['run.json'],
  ],
];
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGKILL'] as const;

const parts = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.endsWith('.part'));

/** The whole of what the command writes when nobody ends it, and how long that takes. */
async function whole(argv: readonly string[]): Promise<number> {
  const from = performance.now();
  const { code, err } = await execute(process.execPath, [program, ...argv], { cwd: folder });
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  return performance.now() - from;
}

function endedAt(argv: readonly string[], ms: number, signal: NodeJS.Signals): Promise<void> {
  const child = spawn(process.execPath, [program, ...argv], { cwd: folder, stdio: 'ignore' });
  setTimeout(() => child.kill(signal), ms);
  return new Promise((resolve) => child.on('close', () => resolve()));
}

/** The last thing of a file of each kind. */
const ENDS: Readonly<Record<string, RegExp>> = {
  json: /^\{.*\}\s*$/s,
  html: /<\/html>\s*$/,
  csv: /^scenario,.*\n$/s,
};
const isWhole = (name: string, text: string): boolean =>
  ENDS[name.split('.').at(-1) ?? '']?.test(text) === true;

test(
  `${KILLS} kills`,
  async () => {
    await whole([...few, '--format', 'json', '--out', 'sound.json']);
    const random = randomBytes(KILLS, 'kills');
    const took = new Map<number, number>();
    for (let i = 0; i < KILLS; i++) {
      const n = i % COMMANDS.length;
      const [argv, files] = COMMANDS[n] ?? [[], []];
      const signal = SIGNALS[Math.floor(i / COMMANDS.length + i) % 3] ?? 'SIGKILL';
      const ms = took.get(n) ?? (await whole(argv));
      took.set(n, ms);
      for (const file of files) await writeFile(join(folder, file), OLD);
      // One that was ended at once has not cleared away what SIGKILL left before it.
      const before = await parts();
      await endedAt(argv, (1.1 * ms * (random() * 256 + random())) / 65536, signal);
      for (const file of files) {
        const text = await readFile(join(folder, file), 'utf8');
        expect(text === OLD || isWhole(file, text), `${file} after ${signal}`).toBe(true);
      }
      const left = (await parts()).filter((part) => !before.includes(part));
      if (signal !== 'SIGKILL') expect(left, signal).toEqual([]);
    }
    // What SIGKILL left is cleared away by whoever comes next.
    await whole([...few, '--format', 'json', '--out', 'sound.json']);
    expect(await parts()).toEqual([]);
  },
  60_000 + KILLS * 20_000,
);
