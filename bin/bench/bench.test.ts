/** The benchmark as a command: every loop runs, every format is what its readers expect; no time is asserted. */
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { STRATEGIES } from '../../strategies/index.ts';
import { runCli } from '../testing.ts';
import { type Addon, buildAddon, type CPort, loadAddon } from './addon.ts';
import { cLists, measureAgainstC, workOfC, workOfCore } from './against-c.ts';

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

/** The policy of the C port that each strategy's series is. */
const C_POLICY: Readonly<Record<string, string>> = {
  'mmap-prot-read': 'base',
  'shm-multi-map': 'base',
  'gup-nowait-reasons': 'gup-nowait-reasons',
  'readonly-memslot': 'readonly-memslot',
  'readonly-memslot-v3': 'readonly-memslot-v3',
  'readonly-memslot-v4': 'readonly-memslot-v4',
  'readonly-memslot-v5': 'readonly-memslot-v4',
  coexist: 'readonly-memslot',
  'private-cow': 'base',
  'no-slot-mmio': 'base',
  'writable-slot': 'base',
  'efault-skip': 'base',
};

describe('the C port', () => {
  let addon: Addon;
  beforeAll(async () => {
    addon = await buildAddon();
  });
  afterAll(async () => {
    if ('path' in addon) await addon.remove();
  });
  /** The compiled port; where it cannot be compiled, the test is skipped with the reason. */
  const portFor = (context: TestContext): CPort =>
    'path' in addon ? loadAddon(addon.path) : context.skip(addon.reason);

  test.for(STRATEGIES)('does the work of the core, loop by loop: $name', (strategy, context) => {
    const port = portFor(context);
    const policy = port.policyNames.indexOf(C_POLICY[strategy.name] ?? '');
    const work = workOfC(port, cLists(port), policy, strategy);
    expect(work).toEqual(workOfCore(strategy));
    // Not equal because nothing was counted: every loop that faults added words and events of its own.
    expect(new Set(work.map((w) => w.digest)).size).toBeGreaterThanOrEqual(work.length - 3);
  });

  test('is measured in every loop, under the policy that does the same', (context) => {
    const two = STRATEGIES.filter((s) => s.name === 'coexist' || s.name === 'mmap-prot-read');
    const rows = measureAgainstC(two, portFor(context), 1);
    expect(rows.map((r) => r.op)).toEqual([...OPS, ...OPS]);
    for (const row of rows) {
      expect(row.policy).toBe(C_POLICY[row.strategy]);
      expect(row.ns).toBeGreaterThan(0);
      expect(row.cNs).toBeGreaterThan(0);
      expect(row.ratio).toBeGreaterThan(0);
    }
  });

  test('is not measured where it does something else', (context) => {
    const port = portFor(context);
    const efault = port.policyNames.indexOf('base');
    const wrong: CPort = { ...port, make: (_, layout) => port.make(efault, layout) };
    const [coexist] = STRATEGIES.filter((s) => s.name === 'coexist');
    expect(() => measureAgainstC([coexist!], wrong, 1)).toThrow(
      'coexist: no policy of the C port does the same work',
    );
  });
});
