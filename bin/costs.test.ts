/** `compare costs`, `compare calibrate` and `--profile`: what they print, and what is wrong with a file. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LINUX_61_NPT } from '../engine/profiles/linux-6.1-npt.ts';
import { loadText } from '../scenarios/data/recordings.ts';
import { runCli } from './testing.ts';

interface Printed {
  readonly probes: { kernel: string; id: string; measured: number; predicted: number; noisy?: boolean }[];
  readonly unmeasured: { kernel: string; id: string; predicted: number }[];
  readonly median: number;
  readonly worst: number;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'costs-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const run = (...args: string[]) => runCli(args, { cwd: folder, columns: 120 });
const costs = async (...args: string[]): Promise<Printed> =>
  JSON.parse((await run('costs', '--format', 'json', ...args)).out);

function file(name: string, probes: Record<string, unknown>, results: readonly unknown[]): string {
  writeFileSync(join(folder, name), JSON.stringify({ probes, kernels: { stock: results }, tscRead: 6 }));
  return name;
}

const STORE = { kind: 'loop', code: '890500001000ebf8', rom: rom('resident') };

function rom(host: string) {
  return { flags: 2, type: 'shm', prot: 'rw', pages: 64, host };
}

describe('costs', () => {
  test('the recorded probes, worst first and noisy ones last, and those nobody measured', async () => {
    const { probes, unmeasured, median, worst } = await costs();
    const recorded = JSON.parse(loadText('kvm-6.1-costs.json.gz'));
    const results: Record<string, unknown[]> = recorded.kernels;
    expect(probes).toHaveLength(Object.values(results).flat().length);
    const good = probes.filter((p) => !p.noisy);
    const errors = good.map((p) => Math.abs(p.predicted - p.measured) / p.measured);
    expect(errors).toEqual(errors.toSorted((a, b) => b - a));
    expect(probes.slice(0, good.length)).toEqual(good);
    expect(errors[0]).toBeCloseTo(worst, 3);
    expect(median).toBeLessThan(0.02);
    expect(unmeasured.map((p) => p.id)).toContain('slot/romd-toggle');
  });

  test('a file of its own: other results, another probe of the same kind', async () => {
    const mine = file('mine.json', { store: STORE, 'never-run': { ...STORE, code: 'f4ebfd' } }, [
      { id: 'store', p50: 10_900 },
    ]);
    const { probes, unmeasured } = await costs(mine);
    expect(probes).toEqual([
      { kernel: 'stock', id: 'store', measured: 10_900, predicted: expect.closeTo(5454, -2) },
    ]);
    expect(unmeasured).toHaveLength(1);
    const { out } = await run('costs', mine);
    expect(out).toContain('store');
    expect(out).toContain('−50.0');
  });

  test.each([
    ['kind', { p: { kind: 'wish' } }, 'probes.p.kind: kind has to be host, loop, fault or ioctl'],
    [
      'act',
      { p: { kind: 'ioctl', act: 'delete, then pray', rom: rom('cold') } },
      "'pray': a slot can be asked",
    ],
    ['host', { p: { kind: 'host' } }, 'a host probe is one of tsc-read, syscall'],
    ['code', { p: { kind: 'loop', code: 'f4e' } }, 'pairs of hex digits'],
    ['other', { q: { kind: 'loop', code: 'f4' } }, "nothing in 'probes' says what 'p' ran"],
  ])('a wrong %s is one line', async (name, probes, says) => {
    const { code, out, err } = await run('costs', file(`bad-${name}.json`, probes, [{ id: 'p', p50: 1 }]));
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).toContain(says);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a kernel that nobody recorded, a file that is not there', async () => {
    writeFileSync(join(folder, 'odd.json'), JSON.stringify({ probes: {}, kernels: { stok: [] } }));
    expect(await run('costs', 'odd.json')).toMatchObject({ code: 2, err: expect.stringContaining('stok') });
    expect(await run('costs', 'no.json')).toMatchObject({
      code: 2,
      err: expect.stringContaining('no such file'),
    });
    expect((await run('costs', '--kernel', 'gup')).code).toBe(2);
  });
});

describe('calibrate', () => {
  test('writes the shipped profile again, and says how good it is', async () => {
    const { code, out } = await run('calibrate', '--out', 'profile.json');
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8'))).toEqual(LINUX_61_NPT);
    expect(out).toContain('Leave one probe out: median');
    expect(out).toContain('hardly counts: marked noisy');
  });

  test('two kernels predict the third', async () => {
    await run('calibrate', '--kernel', 'stock', '--kernel', 'prepatch', '--out', 'two.json');
    const { median, worst } = await costs('--kernel', 'gup-reason', '--profile', 'two.json');
    expect(median).toBeLessThan(0.02);
    expect(worst).toBeLessThan(0.08);
  });

  test('too few probes are refused', async () => {
    const { code, err } = await run(
      'calibrate',
      file('few.json', { store: STORE }, [{ id: 'store', p50: 5462 }]),
    );
    expect(code).toBe(2);
    expect(err).toContain('1 different probes are too few');
  });
});

describe('--profile', () => {
  const ticks = (steps: Record<string, number>): void =>
    writeFileSync(
      join(folder, 'ticks.json'),
      JSON.stringify({ name: 'my-machine', kernel: 'mine', unit: 'TSC ticks', steps }),
    );

  test('prices every run; the steps add up, in the unit of the profile', async () => {
    ticks({ 'world-switch': 2000, syscall: 100, 'page-fault': 1 });
    const args = [
      '--scenario',
      'rom-write',
      '--strategy',
      'readonly-memslot',
      '--no-timing',
      '--profile',
      'ticks.json',
    ];
    const { profile, runs, command } = JSON.parse((await run(...args, '--format', 'json')).out);
    expect(profile).toBe('my-machine');
    expect(command).toContain('--profile ticks.json');
    const { cost, steps } = runs[0];
    expect(cost).toMatchObject({ profile: 'my-machine', unit: 'TSC ticks' });
    expect(cost.byStep['world-switch']).toBe(2000 * steps['world-switch']);
    const parts: number[] = Object.values(cost.byStep);
    expect(parts.reduce((a, b) => a + b, 0)).toBeCloseTo(cost.total, 6);
    expect(cost.unpriced).toHaveProperty('emulate-decode');
    expect((await run(...args)).out).toContain('TSC ticks: predicted, profile my-machine');
  });

  test('a profile with a step that does not exist is refused', async () => {
    ticks({ 'word-switch': 2000 });
    const { code, err } = await run('--scenario', 'rom-write', '--profile', 'ticks.json');
    expect(code).toBe(2);
    expect(err).toContain('word-switch');
  });
});

test('a store to a ROM says how much dearer gup reason codes are, and where that arises', async () => {
  const { out } = await run('--scenario', 'rom-write', '--no-timing');
  const said = out.replaceAll(/\s+/g, ' ');
  expect(said).toMatch(
    /A store is 3,\d{3} instructions \(6\d %\) dearer with gup-nowait-reasons than with readonly-memslot/,
  );
  expect(said).toMatch(/By step: host-fault \+2,\d{3}, gup-slow \+\d{3}, gup-fast \+\d{3}\./);
});

test('explain shows the price beside each step', async () => {
  const { out } = await run('explain', '--scenario', 'rom-write', '--strategy', 'readonly-memslot');
  expect(out).toMatch(/kvm_mmu_page_fault\(\).*\[\d+ instructions\]/s);
  expect(out).toMatch(/KVM_RUN.*\[\d+ instructions\]/s);
});

test('docs/costs.md shows what the commands print', async () => {
  const text = readFileSync(new URL('../docs/costs.md', import.meta.url), 'utf8');
  const blocks = [...text.matchAll(/```text\n(.*?)```/gs)].map((m) => (m[1] ?? '').trimEnd().split('\n'));
  expect(blocks.length).toBeGreaterThan(3);
  for (const block of blocks) {
    let out = '';
    for (const line of block) {
      const command = /^\$ compare (.*)$/.exec(line)?.[1];
      if (command === undefined) expect(out.replaceAll('\u00a0', ' ')).toContain(`${line}\n`);
      else out = (await runCli(command.split(' '), { cwd: folder, columns: 104 })).out;
    }
  }
});
