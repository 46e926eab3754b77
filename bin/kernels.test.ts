/** `--kernel` and `verify`: what is wrong with the words, and, where a real kernel is to be had, what it says. */
import { describe, expect, test } from 'vitest';
import { realKernelOrSay } from '../engine/kernel/testing.ts';
import { STRATEGIES } from '../strategies/index.ts';
import { kernelWords } from './run/kernel-words.ts';
import { strategiesOn } from './run/run-on-kernels.ts';
import { runCli } from './testing.ts';

describe('the words of --kernel', () => {
  test('a name, a path, and what is said to be in it', () => {
    expect(kernelWords(['a=x/bzImage', 'b=/k:gup-reasons,emulate-ro-fault'], 'core', '/here')).toEqual([
      { name: 'a', path: '/here/x/bzImage' },
      { name: 'b', path: '/k', patches: ['gup-reasons', 'emulate-ro-fault'] },
    ]);
    expect(kernelWords(undefined, 'kvm', '/')).toEqual([{ name: 'host' }]);
  });

  test.each([
    [['a=x', 'a=y'], /'a' is there twice/],
    [['=x'], /write it as NAME=PATH/],
  ])('%j is told in one line', (words, says) => {
    expect(() => kernelWords(words, 'core', '/')).toThrow(says);
  });

  test('a kernel that is not there, a verify without one', async () => {
    const missing = await runCli(['--kernel', 'a=/nowhere', '--scenario', 'rom-read']);
    expect([missing.code, missing.err]).toEqual([2, expect.stringMatching(/--kernel a: .*nowhere/)]);
    const real = await runCli(['conform', '--engine', '/nowhere', '--kernel', 'stock', 'shadow']);
    expect([real.code, real.err]).toEqual([2, expect.stringContaining('held against one recorded kernel')]);
    const none = await runCli(['verify']);
    expect([none.code, none.err]).toEqual([2, expect.stringContaining('verify needs a kernel')]);
  });
});

describe('what a kernel can show', () => {
  test('every layout once, held against no claims, where nothing is said of it', () => {
    const { strategies, leftOut } = strategiesOn({ name: 'k', path: '/k' }, STRATEGIES, false);
    const layouts = strategies.map((s) => JSON.stringify([s.layout, s.vmm?.onEfault]));
    expect(new Set(layouts).size).toBe(layouts.length);
    expect(strategies.map((s) => s.name)).toContain('readonly-memslot@k');
    expect([...strategies.map((s) => s.claimed), ...leftOut].filter(Boolean)).toEqual([]);
  });

  test('the claims of a strategy whose series it is said to have; another series that was asked for is left out', () => {
    const patches = STRATEGIES.find((s) => s.name === 'gup-nowait-reasons')?.series.map((p) => p.name) ?? [];
    const asked = STRATEGIES.filter((s) => ['gup-nowait-reasons', 'readonly-memslot-v3'].includes(s.name));
    const { strategies, leftOut } = strategiesOn({ name: 'k', path: '/k', patches }, asked, true);
    expect(strategies.map((s) => [s.name, s.claimed])).toEqual([
      ['gup-nowait-reasons@k', 'gup-nowait-reasons'],
    ]);
    expect(leftOut).toEqual([
      expect.stringMatching(/readonly-memslot-v3 on k, which is not said to have its series/),
    ]);
  });
});

const kernel = realKernelOrSay('compare --kernel and verify on a real kernel');

describe.skipIf(kernel === undefined)('on a real kernel', () => {
  test('verify: the core and Linux agree, store by store', async () => {
    const { code, out } = await runCli([
      'verify',
      '--kernel',
      kernel ?? '',
      '--scenario',
      'rom-write',
      'rom-straddle',
    ]);
    expect(out).toMatch(/agree in all 16 runs/);
    expect(code).toBe(0);
  });

  test('conform: recorded cases, memory and slots that move among them, come out as they were recorded', async () => {
    const words = ['--filter', '^(slots/|story/.*/plain/)', '--format', 'json'];
    const { code, out } = await runCli(['conform', '--engine', kernel ?? '', ...words]);
    const { kernels, differences } = JSON.parse(out);
    expect(differences).toEqual([]);
    expect(kernels.stock.agree).toBeGreaterThan(300);
    expect(code).toBe(0);
  });

  test('compare: fates, exits and instructions are seen, and what is inside the kernel is a dash', async () => {
    const words = [
      '--kernel',
      `k=${kernel}`,
      '--scenario',
      'rom-write',
      '--strategy',
      'readonly-memslot',
      'mmap-prot-read',
    ];
    const { out } = await runCli([...words, '--format', 'json']);
    const { runs, kernels } = JSON.parse(out);
    expect(runs.map((r: { fate: string }) => r.fate).toSorted()).toEqual(['efault', 'ok']);
    const flagged = runs.find((r: { strategy: string }) => r.strategy === 'readonly-memslot@k');
    expect(flagged.exits['mmio-write']).toBe(256);
    expect(flagged.measured.median).toBeGreaterThan(4000);
    expect(flagged.measured.median).toBeLessThan(8000);
    // The core's prediction for the same cell stands beside it.
    expect(flagged.cost.perOperation).toBeGreaterThan(4000);
    expect(flagged.cost.perOperation).toBeLessThan(8000);
    expect([flagged.steps, flagged.digest, flagged.life]).toEqual([undefined, undefined, undefined]);
    expect(kernels[0].version).toMatch(/Linux version/);
  });
});
