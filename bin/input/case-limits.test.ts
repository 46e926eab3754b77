/** Files that are believed in nothing: each slip is one line with the place and the bound. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadText } from '../../scenarios/data/recordings.ts';
import { runCli } from '../testing.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faultline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test.each([
  ['regs', { rax: 0.5 }, /regs\.rax: /],
  ['slots', { size: -1 }, /slots\[0\]\.size: /],
  ['slots', { size: 2 ** 40 }, /slots\[0\]\.size: .*the limit is /],
  ['slots', { gpa: 1e300 }, /slots\[0\]\.gpa: /],
  ['slots', { fill: 256 }, /slots\[0\]\.fill: /],
  ['load', { gpa: -1 }, /load\[0\]\.gpa: /],
])('a case with %s %j is refused', async (key, change, says) => {
  const recorded = JSON.parse(loadText('kvm-6.1-cases.jsonl.gz').split('\n', 1)[0] ?? '');
  Object.assign(Array.isArray(recorded[key]) ? recorded[key][0] : recorded[key], change);
  await writeFile(join(folder, 'bad.jsonl'), JSON.stringify(recorded));
  const { code, out, err } = await runCli(['conform', 'bad.jsonl'], { cwd: folder });
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^compare: bad\.jsonl:1: not a recorded case: [^\n]+\n$/);
  expect(err).toMatch(says);
});

test('a small file that unpacks to a large one is refused before it fills the memory', async () => {
  await writeFile(join(folder, 'bomb.json'), gzipSync(Buffer.alloc(2 ** 28 + 1)));
  const { code, err } = await runCli(['report', 'bomb.json'], { cwd: folder });
  expect(code).toBe(2);
  expect(err).toBe('compare: bomb.json: unpacked, it is larger than 256 MiB, the limit\n');
});
