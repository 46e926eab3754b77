/** Every scenario under every strategy: the claims, and what the thread says must come out. */
import { describe, expect, test } from 'vitest';
import { createCoreMachine } from '../../engine/core/core-machine.ts';
import type { Paging } from '../../engine/machine.ts';
import { findPatch, findStrategy, STRATEGIES, type Strategy, withPatches } from '../../strategies/index.ts';
import { compare, findScenario, SCENARIOS, type Scenario } from '../index.ts';
import { brokenClaims, type Comparison, findRun, type Run } from '../run/comparison.ts';

interface Wanted {
  scenarios?: readonly Scenario[];
  strategies?: readonly Strategy[];
  paging?: Paging;
  seed?: number;
  params?: Record<string, string>;
}

const run = ({
  scenarios = SCENARIOS,
  strategies = STRATEGIES,
  paging = 'npt',
  seed = 1,
  params = {},
}: Wanted) =>
  compare({
    scenarios,
    strategies,
    paging,
    seed,
    params,
    version: '0',
    command: 'test',
    createMachine: createCoreMachine,
  });

const scenario = (name: string): Scenario[] => {
  const found = findScenario(name);
  if (found === undefined) throw new Error(`no scenario ${name}`);
  return [found];
};

/** `readonly-memslot-v5+reexecute-writable-pfn` as a strategy. */
function cross(name: string, add: string[], without: string[]): Strategy {
  const strategy = findStrategy(name);
  const patches = add.map(findPatch).filter((p) => p !== undefined);
  if (strategy === undefined || patches.length !== add.length) throw new Error(`no such cross of ${name}`);
  const result = withPatches(strategy, patches, without);
  if ('error' in result) throw new Error(result.error);
  return result.strategy;
}

const broken = (c: Comparison): string[] =>
  brokenClaims(c).map((b) => `${b.run.scenario} / ${b.run.strategy}: ${b.claim.claim}, seen ${b.claim.seen}`);

function need(c: Comparison, scenarioName: string, strategy: string): Run {
  const found = findRun(c, scenarioName, strategy);
  if (found === undefined) throw new Error(`no run of ${scenarioName} under ${strategy}`);
  return found;
}

describe('all claims hold', () => {
  test.each(['npt', 'shadow'] as const)(
    '%s',
    async (paging) => {
      const c = await run({ paging });
      expect(broken(c)).toEqual([]);
      expect(c.runs.length).toBe(SCENARIOS.length * STRATEGIES.length);
      for (const r of c.runs) {
        expect(r.claims.length, `${r.scenario} / ${r.strategy} claims nothing`).toBeGreaterThan(0);
        expect(r.because.endsWith('.'), r.because).toBe(true);
        for (const p of r.predictions) expect(p.measured, `${r.scenario} ${p.quantity}`).toBe(p.predicted);
      }
    },
    60_000,
  );

  test.each([
    ['rom-rmw', { locked: 'yes' }],
    ['alias-update', { write: 'yes' }],
    ['romd-probe', { drive: 'read-only' }],
    ['romd-probe', { drive: 'rom' }],
    ['page-tables-in-rom', { bits: 'set' }],
    ['page-tables-in-rom', { leaves: '2m' }],
    ['page-tables-in-rom', { bits: 'set', leaves: '2m' }],
    ['rom-write', { writes: '1000' }],
  ])('%s with %j', async (name, params) => {
    for (const paging of ['npt', 'shadow'] as const) {
      expect(broken(await run({ scenarios: scenario(name), params, paging }))).toEqual([]);
    }
  });

  test('crosses and ablations', async () => {
    const cold = await run({
      scenarios: scenario('rom-read-cold'),
      strategies: [
        cross('mmap-prot-read', ['judge-vma-by-access'], []),
        cross('shm-multi-map', ['judge-vma-by-access'], []),
        cross('readonly-memslot', [], ['judge-vma-by-access']),
        cross('coexist', [], ['judge-vma-by-access']),
      ],
    });
    expect(broken(cold)).toEqual([]);
    expect(cold.runs.map((r) => r.fate)).toEqual(['ok', 'ok', 'ok', 'efault']);
    const unemulatable = await run({
      scenarios: scenario('rom-write-unemulatable'),
      strategies: [
        cross('readonly-memslot-v5', ['reexecute-writable-pfn'], []),
        cross('readonly-memslot', [], ['reexecute-writable-pfn']),
        cross('gup-nowait-reasons', [], ['reexecute-writable-pfn']),
        cross('readonly-memslot', ['reexec-mmio'], []),
        cross('readonly-memslot', ['leave-looping'], []),
      ],
    });
    expect(broken(unemulatable)).toEqual([]);
    expect(unemulatable.runs.map((r) => r.fate)).toEqual([
      'internal-error',
      'livelock',
      'livelock',
      'livelock',
      'livelock',
    ]);
  });
});

describe('what the thread says', () => {
  test('rom-write', async () => {
    const c = await run({ scenarios: scenario('rom-write') });
    for (const name of ['readonly-memslot', 'gup-nowait-reasons']) {
      const r = need(c, 'rom-write', name);
      expect([r.fate, r.exits['mmio-write'], r.romIntact]).toEqual(['ok', r.operations, true]);
    }
    expect(need(c, 'rom-write', 'mmap-prot-read').fate).toBe('efault');
    expect(need(c, 'rom-write', 'shm-multi-map').fate).toBe('efault');
    const cow = need(c, 'rom-write', 'private-cow');
    expect([cow.fate, cow.exits['mmio-write'] + cow.exits['mmio-read'] + cow.exits.io]).toEqual(['ok', 0]);
    expect(need(c, 'rom-write', 'writable-slot').fate).toBe('corrupt');
  });

  test('attempted writes are kept, up to 64', async () => {
    const c = await run({ scenarios: scenario('rom-write') });
    const audit = need(c, 'rom-write', 'readonly-memslot').romWrites;
    expect([audit.length, audit[0]?.gpa, audit[0]?.became]).toEqual([64, 'f0000', 'mmio exit']);
    expect(need(c, 'rom-write', 'mmap-prot-read').romWrites).toMatchObject([
      { gpa: 'f0000', became: 'efault' },
    ]);
    expect(need(c, 'rom-write', 'writable-slot').romWrites[0]?.became).toBe('landed');
  });

  test('romd-probe: what OVMF found is said', async () => {
    const c = await run({ scenarios: scenario('romd-probe') });
    expect(need(c, 'romd-probe', 'readonly-memslot').finding).toBe('OVMF found flash, writable');
    expect(need(c, 'romd-probe', 'writable-slot').finding).toBe('OVMF found RAM, so no flash');
    expect(need(c, 'romd-probe', 'efault-skip').finding).toBe('OVMF found ROM, so no flash');
    expect(need(c, 'romd-probe', 'mmap-prot-read').finding).toBeUndefined();
  });

  test('romd-varstore: 32,744 commands, the same counts wherever ROMD works', async () => {
    const c = await run({ scenarios: scenario('romd-varstore') });
    const works = [
      'gup-nowait-reasons',
      'readonly-memslot',
      'readonly-memslot-v3',
      'readonly-memslot-v5',
      'coexist',
    ];
    for (const name of works) {
      const r = need(c, 'romd-varstore', name);
      expect([r.fate, r.operations, r.exits['mmio-write'], r.exits['mmio-read'], r.slotOps]).toEqual([
        'ok',
        32_744,
        32_744,
        1,
        538,
      ]);
    }
    expect(need(c, 'romd-varstore', 'mmap-prot-read').detail).toContain('at flash command 1 of 32,744');
  });
});

describe('a comparison', () => {
  const small = { scenarios: scenario('rom-write'), strategies: STRATEGIES.slice(0, 4) };

  test('is the same twice, and another seed gives other bytes', async () => {
    const [a, b, other] = [await run(small), await run(small), await run({ ...small, seed: 2 })];
    expect(JSON.stringify(a)).toBe(JSON.stringify(b));
    expect(a.runs[3]?.digest).not.toBe(other.runs[3]?.digest);
  });

  test('cannot tell two series apart that decide alike: v4 and v5', async () => {
    const strategies = STRATEGIES.filter((s) => /-v[45]$/.test(s.name));
    const c = await run({ strategies });
    for (const { name } of SCENARIOS) {
      const [v4, v5] = c.runs.filter((r) => r.scenario === name);
      expect(v4?.digest, name).toBe(v5?.digest);
    }
  });

  test('can be stopped: what is finished is kept', async () => {
    const controller = new AbortController();
    const c = await compare({
      ...small,
      paging: 'npt',
      seed: 1,
      params: {},
      version: '0',
      command: 'test',
      createMachine: createCoreMachine,
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done === 1) controller.abort();
      },
    });
    expect([c.runs.length, c.interrupted]).toEqual([2, true]);
  });

  test('measures finished runs if asked to', async () => {
    const calls: number[] = [];
    const c = await compare({
      ...small,
      paging: 'npt',
      seed: 1,
      params: {},
      version: '0',
      command: 'test',
      createMachine: createCoreMachine,
      async measure(again, operations, prepare) {
        prepare();
        again();
        calls.push(operations);
        return { nsPerOp: 1, mad: 0, samples: 1, raw: [1] };
      },
    });
    expect(calls).toEqual([256, 256]);
    expect(c.runs.map((r) => r.timing !== undefined)).toEqual([false, false, true, true]);
  });

  test('says what is wrong with its input in one sentence', async () => {
    await expect(run({ ...small, params: { nope: '1' } })).rejects.toThrow(
      "scenario rom-write has no parameter 'nope'",
    );
  });
});
