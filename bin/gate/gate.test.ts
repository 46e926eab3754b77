import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from '../testing.ts';

let cwd = '';
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'gate-'));
});
afterAll(() => rm(cwd, { recursive: true }));

const gate = (...argv: string[]) => runCli(['gate', ...argv], { cwd });

test('the gate catches what it should, and refuses what it cannot judge', async () => {
  const { code, out } = await gate('--self-test', '--quick');
  expect(out).not.toContain('NOT OK');
  expect(code).toBe(0);
});

test('a baseline is written, passes, and fails once it says something else', async () => {
  expect((await gate('--scenario', 'rom-write', '--baseline', 'g.json', '--update')).code).toBe(0);
  const same = await gate('--scenario', 'rom-write', '--baseline', 'g.json');
  expect(same.out).toMatch(/gate passed; compared (\d+) of \1/);
  expect(same.code).toBe(0);
  const file = join(cwd, 'g.json');
  const baseline = JSON.parse(await readFile(file, 'utf8'));
  baseline.counters['rom-write / coexist'].lookups -= 1;
  baseline.fates['rom-write / mmap-prot-read'].fate = 'ok';
  await writeFile(file, JSON.stringify(baseline));
  const other = await gate('--scenario', 'rom-write', '--baseline', 'g.json', '--format', 'md');
  expect(other.code).toBe(1);
  expect(other.out).toContain(
    '| regression | 0 | rom-write / mmap-prot-read | fate | ok | efault | changed |',
  );
  const saved = await gate(
    '--scenario',
    'rom-write',
    '--baseline',
    'g.json',
    '--format',
    'json',
    '--out',
    'r.json',
  );
  expect(saved).toMatchObject({ code: 1, out: '' });
  expect(await gate('--result', 'r.json', '--format', 'md')).toMatchObject({ code: 1, out: other.out });
  delete baseline.counters['cold / coexist'];
  await writeFile(file, JSON.stringify(baseline));
  expect((await gate('--scenario', 'rom-write', '--baseline', 'g.json')).code).toBe(2);
});

test('bad input is one line and exit 2', async () => {
  await writeFile(join(cwd, 'bad.json'), '{"schema":"x"}');
  for (const argv of [
    [],
    ['--baseline', 'absent.json'],
    ['--baseline', 'bad.json'],
    ['--result', 'bad.json'],
    ['--self-test', '--thresholds', 'bad.json'],
    ['--self-test', '--aa', '-1'],
  ]) {
    const { code, err } = await gate(...argv);
    expect(code, argv.join(' ')).toBe(2);
    expect(err.trim().split('\n'), err).toHaveLength(1);
  }
});
