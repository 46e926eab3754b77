/** A saved Comparison comes back as it was, and half of one does not come back at all. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LINUX_61_NPT } from '../../engine/profiles/linux-6.1-npt.ts';
import { hostile, sampleComparison } from '../../reports/testing.ts';
import { runCli } from '../testing.ts';
import { readComparison } from './comparison-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const save = async (name: string, value: unknown): Promise<void> =>
  writeFile(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));

describe('readComparison', () => {
  test('returns what was written', async () => {
    const sample = hostile(await sampleComparison({ cost: LINUX_61_NPT, timing: true, broken: true }));
    await save('all.json', sample);
    expect(await readComparison('all.json', folder)).toEqual(JSON.parse(JSON.stringify(sample)));
  });

  test('names the first thing that is wrong', async () => {
    const sample = JSON.parse(JSON.stringify(await sampleComparison()));
    const wrong = async (name: string, change: (c: typeof sample) => void, says: RegExp): Promise<void> => {
      const copy = structuredClone(sample);
      change(copy);
      await save(name, copy);
      await expect(readComparison(name, folder)).rejects.toThrow(says);
    };
    await wrong(
      'fate.json',
      (c) => (c.runs[0].fate = 'fine'),
      /fate\.json: not a Comparison: runs\[0\]\.fate: /,
    );
    await wrong('exits.json', (c) => delete c.runs[1].exits.hlt, /runs\[1\]\.exits\.hlt: /);
    await wrong('old.json', (c) => (c.schema = 'faultline-comparison/0'), /schema: /);
    await wrong('runs.json', (c) => delete c.runs, /runs: /);
    await save('empty.json', '');
    await expect(readComparison('empty.json', folder)).rejects.toThrow('empty.json: not JSON: it is empty');
    await save('array.json', []);
    await expect(readComparison('array.json', folder)).rejects.toThrow('array.json: not a Comparison: ');
  });
});

test('an exit or a decision that the version which wrote the file did not know has not happened', async () => {
  const sample = JSON.parse(JSON.stringify(await sampleComparison()));
  for (const run of sample.runs) {
    delete run.exits.shutdown;
    delete run.decisions.gupFailed;
  }
  await save('older.json', sample);
  const { runs } = await readComparison('older.json', folder);
  expect(new Set(runs.map((r) => r.exits.shutdown))).toEqual(new Set([0]));
  expect(new Set(runs.map((r) => r.decisions?.gupFailed))).toEqual(new Set([0]));
});

describe('compare report', () => {
  test('renders without running, to stdout and to a file', async () => {
    const sample = await sampleComparison();
    await save('c.json', sample);
    const json = await runCli(['report', 'c.json', '--format', 'json'], { cwd: folder });
    expect(JSON.parse(json.out)).toEqual(JSON.parse(JSON.stringify(sample)));
    expect(json.code).toBe(0);
    const toFile = await runCli(['report', 'c.json', '--format', 'csv', '--out', 'c.csv'], { cwd: folder });
    expect(toFile).toEqual({ code: 0, out: '', err: '' });
    expect((await runCli(['report', 'c.json', '--out', 'no/c.txt'], { cwd: folder })).code).toBe(2);
  });

  test('a broken claim in the file is exit 1', async () => {
    await save('broken.json', await sampleComparison({ broken: true }));
    expect((await runCli(['report', 'broken.json'], { cwd: folder })).code).toBe(1);
  });
});

describe('compare diff', () => {
  test('nothing differs from itself; a flip of fate is told and is exit 1', async () => {
    const before = await sampleComparison();
    await save('a.json', before);
    await save('b.json', {
      ...before,
      runs: before.runs.map((r, i) => (i === 0 ? { ...r, fate: 'livelock' } : r)),
    });
    expect((await runCli(['diff', 'a.json', 'a.json'], { cwd: folder })).code).toBe(0);
    const { code, out } = await runCli(['diff', 'a.json', 'b.json', '--format', 'json'], { cwd: folder });
    expect(code).toBe(1);
    expect(JSON.parse(out).flips).toHaveLength(1);
  });
});
