/** The benchmark as a command: every loop runs, every format is what its readers expect; no time is asserted. */
import { describe, expect, test } from 'vitest';
import { STRATEGIES } from '../../strategies/index.ts';
import { runCli } from '../testing.ts';
import { buildAddon, loadAddon } from './addon.ts';
import { measureAgainstC } from './against-c.ts';

const OPS = ['read-hit', 'write-hit', 'rom-write', 'rom-write-cached', 'tlb-miss', 'remap', 'cold'];
const smoke = (...more: string[]) => runCli(['bench', '--smoke', '--strategy', 'coexist', ...more]);

describe('compare bench --smoke', () => {
  test('times every loop, with a digest of the work', async () => {
    const { code, out } = await smoke('--format', 'json');
    expect(code).toBe(0);
    const { loops, referenceNs } = JSON.parse(out);
    expect(loops.map((l: { op: string }) => l.op)).toEqual(OPS);
    expect(referenceNs).toBeGreaterThan(0);
    for (const l of loops) expect(l).toMatchObject({ strategy: 'coexist', digest: /^[0-9a-f]{24}$/ });
    const again = JSON.parse((await smoke('--format', 'json')).out);
    expect(again.loops.map((l: { digest: string }) => l.digest)).toEqual(
      loops.map((l: { digest: string }) => l.digest),
    );
  });

  test("CI tools' formats", async () => {
    const action = JSON.parse((await smoke('--format', 'github-action-benchmark')).out);
    expect(action[2]).toMatchObject({
      name: 'rom-write / coexist',
      unit: 'ns/op',
      value: expect.any(Number),
    });
    const bmf = JSON.parse((await smoke('--format', 'bmf')).out);
    expect(bmf['cold / coexist'].latency).toMatchObject({ value: expect.any(Number) });
    const go = (await smoke('--format', 'gobench')).out;
    expect(go).toMatch(/^BenchmarkRomWriteCached\/strategy=coexist \d+ [\d.]+ ns\/op \d+ B\/op$/m);
    expect((await smoke()).out).toMatch(/^rom-write +coexist /m);
  });

  test('what makes no sense is refused', async () => {
    expect((await smoke('--against', 'c', '--format', 'bmf')).code).toBe(2);
    expect((await runCli(['bench', '--against', 'c', '--pairs', '0'])).code).toBe(2);
    expect((await runCli(['bench', '--strategy', 'none'])).code).toBe(2);
  });
});

test('the C port makes the same exits, loop by loop', async (context) => {
  const addon = await buildAddon();
  if ('reason' in addon) return context.skip(addon.reason);
  try {
    const two = STRATEGIES.filter((s) => s.name === 'coexist' || s.name === 'mmap-prot-read');
    const rows = measureAgainstC(two, loadAddon(addon.path), 1);
    expect(rows.map((r) => r.op)).toEqual([...OPS, ...OPS]);
    for (const row of rows) expect(row.ratio).toBeGreaterThan(0);
  } finally {
    await addon.remove();
  }
});
